"""The journey page: one HTML file that holds everything it shows and asks nobody.

``document`` gathers what is shown – the very documents of ``compare --json`` and ``trace --json``, and a map –, ``file`` puts
it with the front end (``web/``: plain ES modules and a style sheet, which only draw) into one file.
"""
