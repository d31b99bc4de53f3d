"""Decisions from the forms of pages. Each works without scripts: the answer leads back to the page, or asks."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiohttp import web
from yarl import URL

from immich_facesets.errors import NameTakenError, RequestError, TwiceInPictureError
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import MergePeople, NameIdentity, Request, numbers_of
from immich_facesets.names import name_key
from immich_facesets.wire import ErrorBody
from service.web.auth import local_path
from service.web.context import CONTEXT
from service.web.deciding import author_of, decide
from service.web.forms import read_fields
from service.web.json_bodies import with_room
from service.web.library.decisions import ChangedIdentity, DecisionsAnswer
from service.web.library.faces import Face
from service.web.library.identities import IdentitiesQuery, Identity
from service.web.pages.decision_forms import MOST_FIELDS, TO_SOMEBODY, DecisionForm
from service.web.pages.shell import DONE, render_page
from service.web.pages.wording import decision_words, effect_words, name_of, named, numbers_in
from service.web.routes import Answer, Route
from service.web.viewers import library_of

MOST_NAMESAKES = 200
_SHOWN_PAIRS = 6


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to go on: its title, and the form that is submitted then."""

    title: str
    form: DecisionForm


@dataclass(frozen=True, slots=True)
class Question:
    """A question that a person must answer before a form is done. ``facts``: what there is to know first; ``people`` and ``faces`` it is about."""

    title: str
    choices: Sequence[Choice]
    facts: Sequence[str] = ()
    people: Sequence[Identity] = field(default=())
    faces: Sequence[Face] = field(default=())
    status: int = 200


@dataclass(frozen=True, slots=True)
class NewPersonsName:
    """The name of a person who is made of the faces that a form moves."""

    label: str


async def decide_from_form(request: web.Request) -> web.StreamResponse:
    """Make what a form asks for and lead back, or ask what it leaves open."""
    form = DecisionForm(await read_fields(with_room(request), MOST_FIELDS))
    back = local_path(form.one("back"), request.app[CONTEXT].base_path)
    found = await _made(request, form)
    if isinstance(found, Question):
        view = {"question": found, "back": back}
        return await render_page(request, "question.html", view, status=found.status)
    target = (await _place_after(request, form, URL(back, encoded=True))).without_query_params(DONE)
    done = {DONE: f"{found.decisions[0]}.{len(found.decisions)}"} if found.decisions else {}
    raise web.HTTPSeeOther(target.update_query(done))


async def _place_after(request: web.Request, form: DecisionForm, back: URL) -> URL:
    """
    Return the page to go back to; the list of people, where that is the page of a person who is no more.

    An undo may leave a person without a face, whom nobody is looking for.
    """
    context = request.app[CONTEXT]
    base = URL(context.base_path + "/people")
    found = re.fullmatch(rf"{re.escape(base.path)}/([0-9]{{1,9}})(/.*)?", back.path)
    if found is None:
        return back
    number = await context.library.survivor(int(found[1]))
    if number is None:
        return base
    if form.one("action") not in {"undo", "redo"}:
        return back
    person = await context.library.identity(number)
    return base if person is None or not person.identity.faces else back


async def _made(request: web.Request, form: DecisionForm) -> DecisionsAnswer | Question:
    """Return what was decided, or a question."""
    try:
        asked = await _requests(request, form)
        made = asked if isinstance(asked, Question) else await _make(request, form, asked)
    except NameTakenError as error:
        return await _ask_about_name(request, form, error.numbers)
    except TwiceInPictureError as error:
        return await _ask_about_pictures(request, form, error)
    except RequestError as error:
        if error.status != 423:
            raise
        again = Choice("Change it nevertheless", form.with_fields(even_if_locked="true"))
        return Question("This person is locked", (again,), (f"{error}.",), status=423)
    return await _ask_after_change(request, form, made) if isinstance(made, tuple) else made


async def _make(
    request: web.Request, form: DecisionForm, asked: Sequence[Request] | NewPersonsName
) -> DecisionsAnswer | tuple[ChangedIdentity, ...] | Question:
    """Make what a form asks for; a merge shows its result first."""
    author = author_of("page", form.one("reason"))
    if isinstance(asked, NewPersonsName):
        return await _make_new_person(request, form, asked.label, author)
    if form.one("action") == "merge" and not form.has("is_seen"):
        return await _ask_before_merge(request, form, asked)
    return await decide(request, asked, author, form.write_key, form.seen)


async def _requests(request: web.Request, form: DecisionForm) -> Sequence[Request] | NewPersonsName | Question:
    """Return what a form asks for, with the person who is meant by a name."""
    if form.one("action") == "move" and not (form.has("into_name") or form.has("into")):
        raise RequestError("say who it is: a name, or a number", status=400)
    if not form.has("into_name") or form.one("action") not in TO_SOMEBODY:
        if form.one("action") == "merge" and not form.has("into"):
            form = await _with_survivor(request, form)
        return form.requests()
    text = form.one("into_name")
    people = await _people_called(request, text)
    if len(people) > 1:
        return Question(
            f"Several people are called {text}",
            tuple(
                Choice(f"{name_of(one)} ({one.number})", form.with_fields(into=str(one.number), into_name=None))
                for one in people
            ),
            people=people,
        )
    if people:
        return form.with_fields(into=str(people[0].number), into_name=None).requests()
    if form.one("action") != "move":
        raise RequestError(f"there is nobody called {text}: choose a name of the list", status=404)
    if not form.has("is_new"):
        return Question(f"Nobody is called {text}", (Choice("Make a new person", form.with_fields(is_new="true")),))
    return NewPersonsName(text)


async def _make_new_person(request: web.Request, form: DecisionForm, label: str, author: Author) -> DecisionsAnswer:
    """Make a new person with a name out of faces. The number comes from a preview, so nothing may be decided after it."""
    calls, key = request.app[CONTEXT].decisions, form.write_key
    if key is not None and (known := await calls.known(key, author)) is not None:
        return known
    move = form.with_fields(into_name=None, is_new=None).requests()
    while True:  # ends: each further round follows a decision of another caller
        preview = await calls.preview(move)
        (number,) = preview.answer.effect.new
        made = await calls.make((*move, NameIdentity(identity=number, label=label)), author, key, preview.last)
        if made is not None:
            return made


async def _people_called(request: web.Request, text: str) -> tuple[Identity, ...]:
    """Return the identities with this number, or exactly this name."""
    library = library_of(request)
    found = (await library.identities(IdentitiesQuery(q=text[:200], limit=MOST_NAMESAKES))).identities
    number = text.removeprefix("#")
    return tuple(
        one
        for one in found
        if str(one.number) == number or (one.label is not None and name_key(one.label) == name_key(text))
    )


async def _with_survivor(request: web.Request, form: DecisionForm) -> DecisionForm:
    """Return a merge of chosen people into one of them: a named one, then the one with most faces, then the oldest."""
    library = library_of(request)
    people: list[Identity] = []
    for text in form.every("numbers"):
        number = await library.survivor(int(text)) if text.isascii() and text.isdecimal() and len(text) < 10 else None
        found = None if number is None else await library.identity(number)
        if found is not None and found.identity not in people:
            people.append(found.identity)
    if len(people) < 2:
        raise RequestError("choose at least two people to merge", status=400)
    into, *others = sorted(people, key=lambda one: (one.label is None, -one.faces, one.number))
    fields = [(name, value) for name, value in form.fields if name != "numbers"]
    fields += [("into", str(into.number)), *(("numbers", str(one.number)) for one in others)]
    return DecisionForm(fields)


async def _ask_before_merge(request: web.Request, form: DecisionForm, requests: Sequence[Request]) -> Question:
    """Show the result of a merge first, and ask for the name where there are several."""
    library = library_of(request)
    *first, merge = requests
    if not isinstance(merge, MergePeople):
        raise RequestError("this form asks for no merge", status=400)
    found = [await library.identity(number) for number in numbers_of(merge)]
    people = sorted((one.identity for one in found if one is not None), key=lambda one: one.number != merge.into)
    labels = list(dict.fromkeys(one.label for one in people if one.label is not None))
    fields = [(name, value) for name, value in form.fields if name not in {"numbers", "into", "into_name", "label"}]
    fields += [("into", str(merge.into)), *(("numbers", str(number)) for number in merge.numbers), ("is_seen", "true")]
    ready = DecisionForm(fields)
    if len({name_key(label) for label in labels}) > 1:
        choices = tuple(Choice(f"Merge as {label}", ready.with_fields(label=label)) for label in labels)
    else:
        choices = (Choice(f"Merge into {name_of(people[0])}", ready),)
    preview = await request.app[CONTEXT].decisions.preview([*first, _with_label(merge, labels)])
    names = await library.labels(numbers_of(merge))
    return Question("Are these one person?", choices, effect_words(preview.answer.effect, names), tuple(people))


def _with_label(merge: MergePeople, labels: Sequence[str]) -> MergePeople:
    label = labels[0] if len(labels) > 1 else None
    return MergePeople(numbers=merge.numbers, into=merge.into, label=label, even_if_locked=True)


async def _ask_about_pictures(request: web.Request, form: DecisionForm, error: TwiceInPictureError) -> Question:
    """Show faces that one person would have twice in a picture, and ask whether it is a mirror or a collage."""
    found = [await library_of(request).face(number) for number in error.faces[:_SHOWN_PAIRS]]
    fields = [*form.fields, *(("twice", str(face)) for face in error.faces)]
    held = "One picture holds" if error.pictures == 1 else f"{error.pictures:,} pictures hold"
    return Question(
        "Two faces in one picture",
        (Choice("A mirror or a collage: allow it there", DecisionForm(fields)),),
        (f"{held} two of these faces. They are two people, or one of the faces is wrong: correct that face first.",),
        faces=tuple(one.face for one in found if one is not None),
        status=409,
    )


async def _ask_about_name(request: web.Request, form: DecisionForm, numbers: Sequence[int]) -> Question:
    """Ask whether people of one name are one person."""
    library = library_of(request)
    found = [await library.identity(number) for number in (*numbers, int(form.one("identity") or 0))]
    people = tuple(one.identity for one in found if one is not None)
    merges = (
        Choice(
            f"The same person: merge into {name_of(one)} ({one.number})",
            DecisionForm(
                [
                    ("action", "merge"),
                    ("numbers", form.one("identity")),
                    ("into", str(one.number)),
                    ("key", form.one("key")),
                    ("back", form.one("back")),
                ]
            ),
        )
        for one in people
        if one.number in numbers
    )
    name = next((one.label for one in people if one.number in numbers and one.label), form.one("label"))
    other = Choice("Another person with this name", form.with_fields(is_namesake="true"))
    return Question(f"{name} is there already", (*merges, other), people=people, status=409)


async def _ask_after_change(request: web.Request, form: DecisionForm, changed: Sequence[ChangedIdentity]) -> Question:
    """Say what changed since the page was read, and ask whether the form still holds."""
    latest = [one.latest for one in changed if one.latest is not None]
    names = await library_of(request).labels({*numbers_in(latest), *(one.number for one in changed)})
    facts = [f"{named(one.number, names)} is not as this page showed it." for one in changed]
    facts += [f"The latest decision: {decision_words(one, names)}." for one in latest]
    again = Choice("Do it nevertheless", form.with_fields(etag=None))
    return Question(
        "Something changed meanwhile", (again,), facts, tuple(one.now.identity for one in changed), status=412
    )


ROUTES = (
    Route(
        method="POST",
        path="/decide",
        handler=decide_from_form,
        summary="Make the decision of a form, and lead back to its page",
        form={"action": "as in the API, with its fields", "back": "The page to go back to"},
        answers={
            200: Answer("What a person must say first", media_type="text/html"),
            303: Answer("Back to the page", redirects=True),
            400: Answer("The form asks for no decision", body=ErrorBody),
            404: Answer("No such identity, face or decision", body=ErrorBody),
            409: Answer("It cannot be, or a name is taken", media_type="text/html"),
            410: Answer("The decision erased data, and cannot be undone", body=ErrorBody),
            412: Answer("An identity is not as the page showed it", media_type="text/html"),
            423: Answer("A locked identity would change", media_type="text/html"),
        },
    ),
)
