"""The sentence about videos: they are counted, and left alone."""

from immich_facesets.wording import counted
from service.web.schemas import LibraryCounts


def left_alone_sentences(library: LibraryCounts) -> tuple[str, ...]:
    """Return sentences about the files in the sources that are not read, such as videos; none for pictures alone."""
    videos = sum(source.videos for source in library.sources)
    motion = sum(source.motion_photos for source in library.sources)
    found = []
    if videos:
        found.append(f"{counted(videos, 'video')} left alone: faces are read in pictures only")
    if motion:
        found.append(f"of {counted(motion, 'motion photo')} only the still picture is read")
    return ("; ".join(found),) if found else ()
