"""Floor 8 – how fast is it? Workloads, what is timed on them, and the rivals that do the same work in the same run.

A rate without the proof that the work was done is worth nothing: every row has a digest of all that came out, and a rival
counts only where its digest, over the fields it claims, is calisim's on the same packets.
"""
