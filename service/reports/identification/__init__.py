"""Identification of the faces in a picture that is not part of the library: nothing of it is stored."""

from service.reports.identification.identify import Identify

__all__ = ["Identify"]
