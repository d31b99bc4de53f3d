"""
The memory of the service: one database, and one function per transaction.

The public functions of the modules beside this one each take an open connection first and are run by ``Store.write`` or
``Store.read``, whole or not at all: the list of the writing ones is the list of the commit points.
"""
