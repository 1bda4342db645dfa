"""The settings `MEDIA_*`, read from the environment once, checked at start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chat.platform.settings import SettingsError, check_no_placeholder

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")


@dataclass(frozen=True)
class MediaSettings:
    """Where files are kept: in a bucket, or in a folder of one machine."""

    bucket: str = ""
    folder: str = ""
    #: LOCATION/NAME of the queue of Cloud Tasks, on App Engine.
    queue: str = ""

    @classmethod
    def from_env(
        cls, environ: Mapping[str, Any] | None = None, *, production: bool = False
    ) -> MediaSettings:
        """Reads and checks the settings.

        Args:
            environ: a mapping of upper-case keys; os.environ when None.
            production: on App Engine, where a folder would end with its instance.

        Raises:
            SettingsError: a value cannot work; the text names key and value.
        """
        environ = os.environ if environ is None else environ
        bucket, folder, queue = (
            str(environ.get(f"MEDIA_{name}") or "").strip()
            for name in ("BUCKET", "FOLDER", "QUEUE")
        )
        check_no_placeholder("MEDIA_BUCKET", bucket)
        if production and not bucket:
            raise SettingsError("MEDIA_BUCKET: must be set on App Engine")
        if bucket and folder:
            raise SettingsError(f"MEDIA_FOLDER: {folder!r}, and MEDIA_BUCKET is set too: use one")
        if bucket and not _BUCKET.fullmatch(bucket):
            raise SettingsError(f"MEDIA_BUCKET: {bucket!r} is not the name of a bucket")
        if queue and not re.fullmatch(r"[a-z0-9-]+/[A-Za-z0-9-]+", queue):
            raise SettingsError(f"MEDIA_QUEUE: {queue!r} is not LOCATION/NAME")
        return cls(bucket, folder, queue)
