"""Galleries: enrol, query, erase. The one place that ties catalog, index, pictures and embedder together.

Order of things, so that an answer given is an answer kept:

* Enrolling: embed, write pictures (if kept), commit to the catalog, add to the index, answer. What was
  answered is in the catalog; the index is rebuilt from it at every start.
* Erasing: commit to the catalog, remove from the index, from its snapshot and from the pictures, answer.
* Commit and index update are one step under one lock, in a worker thread. So the index follows the
  catalog's order, and a caller who goes away half-way cannot part the two. Where the connection breaks in
  the commit, nothing else is written before it is known how that ended (``doubts.py``).
* What a fault leaves undone (a file that cannot be removed, a cache that is away) is done later, by
  :meth:`Galleries.mend`.

A file for each thing that is done, and :class:`Galleries`, which has them all.
"""

from service.gallery.enrolment import EnrolItem, EnrolOutcome
from service.gallery.galleries import Galleries
from service.gallery.grade import Grade
from service.gallery.page import Page
from service.gallery.query import QueryAnswer, QueryOptions, Timings
from service.gallery.ranking import Match
from service.gallery.verification import Verification

__all__ = [
    "EnrolItem",
    "EnrolOutcome",
    "Galleries",
    "Grade",
    "Match",
    "Page",
    "QueryAnswer",
    "QueryOptions",
    "Timings",
    "Verification",
]
