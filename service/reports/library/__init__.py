"""The library as the API shows it: one read of the store for each question, and values of ``service.web``."""

from service.files.references import ReferenceFolder
from service.passes.context import CROPS_FOLDER, REFERENCES_FOLDER
from service.progress import ProgressBoard
from service.reports.library.exported_people import ExportedPeople
from service.reports.library.faces import FaceReads
from service.reports.library.facesets import FacesetReads
from service.reports.library.identities import IdentityReads
from service.reports.library.known_figures import KnownFigures
from service.reports.library.left_out import LeftOut
from service.reports.library.pictures import PictureReads
from service.reports.library.planned_sets import PlannedSets
from service.reports.library.proposals import Proposals
from service.reports.library.references import ReferenceReads
from service.reports.library.review import ReviewReads
from service.reports.library.service import ServiceReads
from service.reports.library.storage import StorageReads
from service.settings import Settings
from service.store.browsing.whole_pictures import has_picture
from service.store.database import Store
from service.web.library.reads import LibraryReads


def library_reads(store: Store, settings: Settings, board: ProgressBoard) -> LibraryReads:
    """Return the calls behind the reading routes of the API."""
    base, figures = settings.base_path, KnownFigures(store)
    proposals = Proposals(store, settings, figures)
    identities, faces = IdentityReads(store, settings, figures, proposals), FaceReads(store, figures, base)
    facesets = FacesetReads(store, settings.export_dir, base)
    exported = ExportedPeople(store, facesets, figures, base)
    pictures = PictureReads(settings.data_dir / CROPS_FOLDER)
    service = ServiceReads(store, settings, board, figures)
    references = ReferenceReads(store, ReferenceFolder(settings.data_dir / REFERENCES_FOLDER), base)
    return LibraryReads(
        identities=identities.page,
        labels=identities.labels,
        covers=identities.covers,
        survivor=identities.survivor,
        identity=identities.one,
        faces=identities.faces,
        eras=identities.eras,
        nearest=identities.nearest,
        figures=identities.figures,
        together=identities.together,
        similar=identities.similar,
        parts=identities.parts,
        identities_file=figures.identities_file,
        references=references.of_identity,
        reference_picture=PictureReads(settings.data_dir / REFERENCES_FOLDER).crop,
        reference_original=references.original,
        history=identities.history,
        decisions=identities.decisions,
        decision=identities.decision,
        review=ReviewReads(store, base, figures.kept).page,
        face=faces.one,
        search=faces.search,
        crop=pictures.crop,
        thumbnail=pictures.thumbnail,
        has_picture=lambda sha256: store.read(has_picture, sha256),
        facesets=facesets.page,
        faceset=facesets.one,
        faceset_file=facesets.file,
        faceset_archive=facesets.archive,
        left_out=LeftOut(store, settings.export_dir, base).page,
        exported=exported.page,
        planned_set=PlannedSets(store, settings).of,
        facesets_of=exported.of_one,
        ledger=facesets.ledger,
        sources=service.sources,
        source_names=service.source_names,
        settings=service.settings,
        storage=StorageReads(store, settings).answer,
        failures=service.failures,
        jobs=service.jobs,
        job=service.job,
    )
