import numpy as np

VOCABULARY: str                # digest of the vocabulary that the loops were built from

def within(starts: np.ndarray, addresses: np.ndarray, found: np.ndarray) -> None: ...
def cut(
    order: np.ndarray, networks: np.ndarray, ends: np.ndarray, parents: np.ndarray, around: np.ndarray, starts: np.ndarray,
    matches: np.ndarray,
) -> int: ...
def fill(
    root: np.ndarray, branches: np.ndarray, leaves: np.ndarray, starts: np.ndarray, values: np.ndarray, places: np.ndarray,
    first_branch: int, first_leaf: int, wide: int, deep: int,
) -> None: ...
def overlay(
    starts: np.ndarray, values: np.ndarray, addresses: np.ndarray, sizes: np.ndarray, over: np.ndarray, changes: np.ndarray,
    changed: np.ndarray,
) -> int: ...
def place(cells: np.ndarray, places: np.ndarray, counts: np.ndarray, first: np.ndarray, steps: np.ndarray) -> None: ...
def tell(
    records: np.ndarray, kind: int, decider: int, addresses: np.ndarray, of_addresses: np.ndarray, routers: np.ndarray,
    of_routers: np.ndarray, mtus: np.ndarray, of_mtus: np.ndarray, edges: np.ndarray, ingress: np.ndarray, egress: np.ndarray,
) -> None: ...
