"""Which paths move, and which stay with the old."""

from __future__ import annotations

import pytest

from migdsl.runtime.strangler.model import Replacement, path_of


def replacement(*routes: str) -> Replacement:
    return Replacement("m", "r", "m", routes, "request")


@pytest.mark.parametrize(
    ("path", "moves"),
    [
        ("/orders", True),
        ("/orders/", True),
        ("/orders/1", True),
        ("/orders/1/lines", True),
        ("/orders2", False),
        ("/Orders", False),
        ("//orders", False),
        ("/", False),
        ("", False),
        ("/users/7/orders", True),
        ("/users/7/orders/1", True),
        ("/users/7", False),
        ("/users//orders", False),
        ("/users/7/carts", False),
        ("/users/{id}/orders", True),
    ],
)
def test_a_path_moves_where_it_is_at_or_below_a_route(path: str, moves: bool) -> None:
    assert replacement("/orders", "/users/{id}/orders").moves(path) is moves


def test_without_routes_and_below_the_root_all_paths_move() -> None:
    assert all(replacement(*routes).moves(path) for routes in ((), ("/",)) for path in ("/", "/a", "", "/a/b"))


def test_a_mounted_application_is_asked_for_what_is_below_its_mount() -> None:
    assert path_of({"path": "/api/orders", "root_path": "/api"}) == "/orders"
    assert path_of({"path": "/apiorders", "root_path": "/api"}) == "/apiorders"
    assert path_of({"path": "/orders", "root_path": "/api"}) == "/orders"
