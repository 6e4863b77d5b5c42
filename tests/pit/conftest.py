from __future__ import annotations

from tests.disks import tiny_disk

__all__ = ("tiny_disk",)
