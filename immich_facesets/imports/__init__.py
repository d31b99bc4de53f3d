"""
Import of faces that users sorted with other tools: face sets on disk, and the cache beside them (docs/exports.md).

``npz_cache`` and ``manifests`` read, and collect what they found, what is missing and what is wrong. ``merge`` makes
one list of sets of the two, ``face_lookup`` finds their faces among ours, and ``plan`` decides their identity numbers.
"""
