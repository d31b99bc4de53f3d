"""
What people sorted with other tools before they came here: face sets on disk, and the cache beside them (EXPORTS, npz).

``cache`` and ``manifests`` read, and collect what they found, what is missing and what is wrong; ``gathering`` makes one
list of sets of the two; ``resolving`` finds their faces among ours; ``plan`` decides which numbers they get here.
"""
