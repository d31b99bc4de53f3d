"""
The persistent state of the service: one database, and one function per transaction.

The public functions of this package's modules take an open connection as their first argument. ``Store.write`` or
``Store.read`` runs each of them as one atomic transaction, so every writing function is a commit point.
"""
