"""Settings of the service: read once from the environment and a TOML file, frozen, and passed on as values."""

import dataclasses
import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from immich_facesets.eras import Window, read_windows
from immich_facesets.exports.captions import USUAL, checked_template
from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.requests import ExportRequest, read_export_requests
from immich_facesets.faces import Gate
from immich_facesets.grouping.library_size import FEW, least_pictures
from immich_facesets.grouping.plan import GroupingRules, Method
from immich_facesets.listing import ListingRules
from immich_facesets.runtime.settings import read_settings
from immich_facesets.spaces import OperatingPoints, operating_points
from service.config_file import CONFIG_FILE, DEFAULT_DATA_DIR, PREFIX, TomlSource, config_in_use
from service.setting_values import (
    USER_NAME_RULE,
    checked_address,
    checked_addresses,
    checked_base_path,
    checked_header_value,
    checked_interval,
    checked_listen,
    is_user_name,
)

# fmt: off
EMBEDDER_NAMES = tuple(f"FACESETS_EMBEDDER_{name}" for name in (
    "LISTEN", "ENGINE", "RECOGNISERS", "PROVIDER", "DEVICE", "PRECISION", "CACHE_DIR",
    "MAX_PIXELS", "MAX_BYTES", "MAX_IN_FLIGHT", "MAX_MEMORY", "DECODE_SECONDS", "BATCH", "THREADS", "FLIP",
    "DET_SIZE", "DET_THRESHOLD", "LOG_LEVEL", "LOG_JSON",
))
# fmt: on
"""The embedder's own variables. An embedder started as a child process inherits them; the service never reads them."""

LEAST_TOKEN_CHARACTERS = 16
"""Minimum length of a token; shorter ones can be guessed."""

Distance = Annotated[float, Field(gt=0, le=2)]
Seconds = Annotated[float, Field(gt=0)]


class Settings(BaseSettings):
    """
    All settings: every field is one, and its description appears in docs/settings.md.

    Distances left empty are those of the embedding space in use, which has its own operating points.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        populate_by_name=True,
        extra="forbid",
        allow_inf_nan=False,
    )

    # fmt: off
    config: Path | None = Field(None, description="a TOML file with settings (names in lower case, without the prefix); the environment is stronger; empty: `settings.toml` in the data folder, where `setup` writes it")
    immich_url: str | None = Field(None, validation_alias="IMMICH_URL", description="where Immich answers, such as `http://immich-server:2283`")
    immich_api_key: SecretStr | None = Field(None, validation_alias="IMMICH_API_KEY", description="the Immich API key of the user to sync; several users: `FACESETS_USERS_FILE`")
    user: str = Field("me", description="the name in manifests of the user of `IMMICH_API_KEY`")
    users_file: Path | None = Field(None, description="a TOML file with several users: `[users.NAME]` with `api_key` or `api_key_file`")
    data_dir: Path = Field(DEFAULT_DATA_DIR, description="the data folder: database, face crops and everything else that must be kept")
    export_dir: Path = Field(default_factory=lambda known: known["data_dir"] / "exports", description="the export folder, in which face sets are written; empty: `exports` in the data folder")
    database_url: SecretStr | None = Field(None, description="`postgresql://...`; empty: SQLite in the data folder")

    embedder_urls: str = Field("", description="addresses of embedders, separated by commas; empty: one is started as a child process")
    embedder_token: SecretStr | None = Field(None, description="the bearer token of the embedders")
    models_dir: Path = Field(Path("models"), description="the folder that holds `<pack>/*.onnx`")
    model_pack: str = Field("", description="the pack of models to use; empty: the best that is installed, else the free one")
    detection: Literal["full", "guided"] = Field("full", description="`full` searches whole pictures; `guided` searches only around Immich's boxes, which is faster on small photos")

    sync_cron: str = Field("", description="when to sync, as a crontab line; it replaces the interval")
    sync_interval: timedelta = Field(timedelta(minutes=30), description="pause between syncs (seconds, or `PT30M`)")
    full_listing_interval: timedelta = Field(timedelta(hours=24), description="how often the whole library is listed, which finds deletions; in seconds, or as `PT24H`")
    listen: str = Field("127.0.0.1:8785", description="where the web pages and the API answer")
    base_path: str = Field("", max_length=100, description="the path below which pages and API answer behind a reverse proxy, such as `/faces`; the proxy passes it on unchanged")
    token: SecretStr | None = Field(None, description="the token of pages and API; empty: the service makes one and keeps it in the file `token` of the data folder")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="the least level that is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`")

    min_face_short: float = Field(90, ge=1, le=100_000, description="the least length of a face's shorter edge, in pixels of the original; smaller faces cause no download, and no person is found by them")
    min_blur: float = Field(
        40.0, ge=0, description="the least sharpness of a face that counts: variance of the Laplacian, without that of noise"
    )
    min_det_score: float = Field(0.6, ge=0, le=1, description="the least detector's score of a face that counts")
    min_light: float = Field(
        0.2,
        ge=0,
        le=1,
        description="the least light and contrast of a face that counts: 1 is that of a usual picture, 0 that of a black or flat one",
    )
    grouping: Method = Field("careful", description="`careful` groups clear faces first, links their clusters, and leaves ties to a person; `plain` compares one distance to one centroid")
    min_faces: int | None = Field(None, ge=1, description="how many different pictures a new person needs; empty: 6, 10 or 15, by the size of the library")
    match_distance: Distance | None = Field(None, description="the largest distance at which a face joins a known person (buffalo_l: 0.45)")
    cluster_distance: Distance | None = Field(None, description="the distance at which average-linkage clustering is cut (buffalo_l: 0.55)")
    merge_distance: Distance | None = Field(None, description="clusters whose centroids are nearer are one person (buffalo_l: 0.40)")
    drop_distance: Distance | None = Field(None, description="a face farther from the centroid leaves a new cluster (buffalo_l: 0.55)")
    outlier_distance: Distance | None = Field(None, description="a face farther from the centroid is left out of exports (buffalo_l: 0.45)")
    near_distance: Distance | None = Field(None, description="faces that are nearer count once, as of one moment (0.05)")
    thresholds: Literal["measured", "fixed"] = Field("measured", description="`measured` moves the distances left empty by up to 0.05, as pairs of people in your own pictures show; `fixed` keeps the model's")
    target_fmr: float | None = Field(None, ge=1e-7, le=1e-2, description="the share of pairs of two people that the measured cut may take for one; empty: 0.000022, the rate measured for w600k_mbf at its usual cut of 0.65")

    export_min_face_short: float = Field(100, ge=1, description="the least length of the shorter edge of an exported face, in pixels")
    export_top: int = Field(30, ge=1, description="how many faces the small bundle (`faceset_001_top30.fsz`) holds")
    export_profiles: str = Field("fsz", description="the export profiles to keep up to date, separated by commas: `fsz` (always), `facefusion`, `portrait`, `visomaster`, `reactor`, `kohya`, `lora`, `frigate`, `imagefolder`, `aligned`, `xmp`, `npz`, `plain`; `kohya:40:768` takes 40 faces of 768 pixels, `kohya:40:768:x2` none enlarged more than twice, `plain:webp` and `plain:jpg` are formats, `kohya:half-body` is a framing")
    crop_framing: Framing = Field(Framing.FACE, description="how much the pictures of `kohya`, `lora`, `imagefolder` and `plain` show: `face` (the crop), or `head`, `half-body`, `original`, cut from the originals, each of which is fetched once more")
    caption: str = Field(USUAL, description="the captions of pictures for training: parts between commas, with `{token}`, `{class}`, `{name}`, `{framing}`, `{era}`, `{year}`, `{age}`, `{age_band}`, `{angle}`, `{expression}`; a part with something unknown is left out")
    era_ages: str = Field("", description="eras by age instead of by likeness for people whose birth date Immich knows, such as `0-2,3-5,6-9,10-13,14-17`; empty: none")
    enrich: Literal["auto", "off"] = Field("auto", description="`auto` asks the embedder for landmarks and head pose of the faces that may be exported, where it has models for them; `off` never does")
    crop_size: int = Field(512, ge=64, le=4096, description="width and height of an exported crop in pixels; pictures are fetched again only where a stored crop lacks pixels that the original has")
    crop_padding: float = Field(0.5, ge=0.25, le=2, description="the margin on each side of the face's box, as a share of the box (`pad_ratio`); a larger value than before fetches pictures with faces again")

    fetch_concurrency: int = Field(8, ge=1, le=64, description="how many pictures are fetched at once; fewer while Immich is slow")
    max_file_bytes: int = Field(512 * 2**20, ge=1, description="the largest original that is fetched, in bytes; a larger one is recorded as a failure")
    staging_bytes: int = Field(2 * 2**30, ge=2**20, description="room in bytes for pictures that are fetched and not yet embedded")
    include_renditions: bool = Field(False, description="take in Immich's own previews that an external library indexed")
    breaker_failures: int = Field(12, ge=1, description="how many failures in a row it takes until Immich or an embedder is probed")
    request_timeout: Seconds = Field(30.0, description="seconds without an answer after which a request to Immich has failed")
    embedding_timeout: Seconds = Field(120.0, description="seconds without an answer after which a request to an embedder has failed")
    # fmt: on

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        given = init_settings.init_kwargs if isinstance(init_settings, InitSettingsSource) else {}
        path = given["config"] if "config" in given else os.environ.get(CONFIG_FILE)
        return init_settings, env_settings, TomlSource(settings_cls, Path(path) if path else None)

    @field_validator("sync_interval", "full_listing_interval", mode="before")
    @classmethod
    def _plain_seconds(cls, value: object) -> object:
        """Convert a number given as text, as in a variable, to seconds."""
        return float(value) if isinstance(value, str) and value.strip().isdecimal() else value

    @field_validator("sync_interval", "full_listing_interval")
    @classmethod
    def _usable_interval(cls, value: timedelta) -> timedelta:
        return checked_interval(value)

    @field_validator("*", mode="before")
    @classmethod
    def _without_nul(cls, value: object) -> object:
        """Refuse a sign that no path and no variable can hold, though a TOML file can."""
        if isinstance(value, str) and "\0" in value:
            raise ValueError("must not hold a NUL sign")
        return value

    @field_validator("immich_api_key", "embedder_token")
    @classmethod
    def _sendable(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value is None else SecretStr(checked_header_value(value.get_secret_value()))

    @field_validator("immich_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return value if value is None else checked_address(value, "an address such as http://immich-server:2283")

    @field_validator("listen")
    @classmethod
    def _listen_address(cls, value: str) -> str:
        return checked_listen(value)

    @field_validator("base_path")
    @classmethod
    def _path_below(cls, value: str) -> str:
        return checked_base_path(value)

    @field_validator("token")
    @classmethod
    def _not_guessable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < LEAST_TOKEN_CHARACTERS:
            raise ValueError(f"must have {LEAST_TOKEN_CHARACTERS} characters at least: shorter ones can be guessed")
        return value

    @field_validator("user")
    @classmethod
    def _usable_name(cls, value: str) -> str:
        if not is_user_name(value):
            raise ValueError(USER_NAME_RULE)
        return value

    @field_validator("embedder_urls")
    @classmethod
    def _addresses(cls, value: str) -> str:
        return checked_addresses(value, "http://embedder:8786")

    @field_validator("export_profiles")
    @classmethod
    def _known_profiles(cls, value: str) -> str:
        read_export_requests(value)
        return value

    @field_validator("caption")
    @classmethod
    def _readable_caption(cls, value: str) -> str:
        return checked_template(value)

    @field_validator("era_ages")
    @classmethod
    def _readable_ages(cls, value: str) -> str:
        read_windows(value)
        return value

    @model_validator(mode="after")
    def _one_kind_of_users(self) -> Self:
        if self.immich_api_key is not None and self.users_file is not None:
            raise ValueError("both IMMICH_API_KEY and FACESETS_USERS_FILE are set: keep one of them")
        return self

    @property
    def gate(self) -> Gate:
        return Gate(
            face_short=self.min_face_short, blur=self.min_blur, det_score=self.min_det_score, light=self.min_light
        )

    @property
    def export_requests(self) -> tuple[ExportRequest, ...]:
        """The forms to keep up to date."""
        return read_export_requests(self.export_profiles, self.crop_framing)

    def grouping_rules(self, pictures: int) -> GroupingRules:
        """Return the rules for a library of so many pictures with faces."""
        least = least_pictures(pictures) if self.min_faces is None else self.min_faces
        known = FEW if self.min_faces is None else None
        return GroupingRules(method=self.grouping, min_faces=least, min_known=known, gate=self.gate)

    @property
    def listing_rules(self) -> ListingRules:
        return ListingRules(min_face_short=self.min_face_short)

    @property
    def era_windows(self) -> tuple[Window, ...]:
        """The age windows for eras, used where a birth date is known."""
        return read_windows(self.era_ages)

    @property
    def embedder_addresses(self) -> tuple[str, ...]:
        return tuple(url.strip().rstrip("/") for url in self.embedder_urls.split(",") if url.strip())

    @property
    def fixed_distances(self) -> frozenset[str]:
        """Names of the operating points that a user set; they are never adjusted."""
        return frozenset(self._own_distances)

    @property
    def _own_distances(self) -> dict[str, float]:
        own = {
            "match": self.match_distance,
            "cluster": self.cluster_distance,
            "merge": self.merge_distance,
            "drop": self.drop_distance,
            "outlier": self.outlier_distance,
            "near": self.near_distance,
        }
        return {name: value for name, value in own.items() if value is not None}

    def points(self, family: str, stated: OperatingPoints | None = None) -> OperatingPoints:
        """
        Return the distances to use.

        Settings come first, then those in ``stated``, supplied with a custom model, then those measured for the family.
        """
        own = self._own_distances
        needed = {"match", "cluster", "merge", "drop", "outlier"}
        if needed <= own.keys():
            return OperatingPoints(**own)
        return dataclasses.replace(stated or operating_points(family), **own)


def load_settings() -> Settings:
    """Return the settings of this process; any mistake in them raises a ``SetupError``."""
    return read_settings(Settings, prefix=PREFIX, other_names=EMBEDDER_NAMES, given={"config": config_in_use()})
