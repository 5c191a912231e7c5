"""Who has an address: the endpoints of an Intent, asked for whole columns at once."""

from __future__ import annotations

import numpy as np

from ..control.intent import Intent


class AddressOwners:
    """Endpoint ids by address, a node's tunnel addresses included."""

    def __init__(self, intent: Intent) -> None:
        owners = intent.address_owners
        addresses = np.fromiter(owners, np.uint32, len(owners))
        order = np.argsort(addresses, kind="stable")
        self._addresses = addresses[order]
        self._owners = np.fromiter(owners.values(), np.uint32, len(owners))[order]

    def of(self, addresses: np.ndarray) -> np.ndarray:
        """The endpoint id of the owner of each address, 0 where nobody has it."""
        if not len(self._addresses):
            return np.zeros(len(addresses), np.uint32)
        position = np.minimum(np.searchsorted(self._addresses, addresses), len(self._addresses) - 1)
        return np.where(self._addresses[position] == addresses, self._owners[position], 0).astype(np.uint32)
