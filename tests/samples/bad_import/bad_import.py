from __future__ import annotations

import a_package_that_nobody_has

from symphony.sdk import Operator


class BadImport(Operator):
    def run(self) -> object:
        return a_package_that_nobody_has
