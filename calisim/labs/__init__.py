"""Teaching labs: predict, run, explain, change, verify.

A lab is a folder of text and data (``content/NN-name``): what is asked and checked is data, what is true comes from the
simulator. ``lab`` reads a lab, ``facts`` asks the simulator, ``claims`` judges, ``session`` keeps a student's progress,
``hints`` helps, ``grading``, ``gradebook`` and ``selftest`` serve the teacher, ``quiz`` breaks a healthy cluster, with
``riddle`` students break it for each other. Nothing here writes files.
"""
