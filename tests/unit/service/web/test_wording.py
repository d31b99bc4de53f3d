"""Messages in words that a person would use."""

import pytest

from service.web.pages.wording import trouble_words


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("identity 3 is locked already", "Person 3 is locked already"),
        ("identities 3 and 4 are one", "People 3 and 4 are one"),
        ("there is no identity 9: 'immich-facesets identities list' lists those with faces", "There is no person 9"),
        ("it has no undo ('decisions list --identity 3')", "It has no undo"),
        ("The name has a mark: 'a' is none.", "The name has a mark: 'a' is none."),
    ],
)
def test_a_message_names_people_and_no_command(message: str, words: str) -> None:
    assert trouble_words(message) == words
