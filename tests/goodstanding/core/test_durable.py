"""A durable write syncs the file before it renames it, and the folder before it returns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from goodstanding.core.durable import put_in_place


def test_the_file_is_synced_before_it_is_renamed_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append("sync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    def replaced(draft: Path, path: Path) -> None:
        done.append("rename")
        replace(draft, path)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    (tmp_path / "draft").write_text("whole")
    put_in_place(tmp_path / "draft", tmp_path / "shown")
    assert done == ["sync draft", "rename", f"sync {tmp_path.name}"]
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("shown", "whole")]
