"""Answers as pictures, for slides and pages: SVG and PNG, drawn by matplotlib (an extra: ``pip install 'calisim[plots]'``).

Colours are Okabe and Ito's, apart for every kind of colour vision, and never alone: a pattern, a sign or a word stands beside
each. The same answer gives the same bytes. matplotlib is imported when something is drawn, never before.
"""
