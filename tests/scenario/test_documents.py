"""Resources out of every form of list, and which one replaces which."""

from __future__ import annotations

from dataclasses import replace

from calisim.errors import Mark
from calisim.scenario.documents import Document, apply
from calisim.scenario.reader import parse
from calisim.scenario.unpack import unpack

POOL = "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: %s}\nspec: {cidr: %s}\n"
POOL_V1 = "apiVersion: v1\nkind: ipPool\nmetadata: {cidr: %s}\nspec: {nat-outgoing: true}\n"


def documents(text: str) -> list[Document]:
    written, problems = parse(text, "f")
    found, more = unpack(written)
    assert not problems and not more
    return found


def test_lists_of_every_kind_are_taken_apart() -> None:
    found = documents(
        "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Node, metadata: {name: a}}\n"
        "---\nkind: IPPoolList\napiVersion: projectcalico.org/v3\nitems:\n- {metadata: {name: p}, spec: {cidr: 10.0.0.0/16}}\n"
        "---\n- {apiVersion: v1, kind: ipPool, metadata: {cidr: 10.1.0.0/16}}\n"
        "- {apiVersion: v1, kind: ipPool, metadata: {cidr: 10.2.0.0/16}}\n"
        "---\nkind: PodList\napiVersion: v1\nitems: []\n")
    assert [(one.api_version, one.kind, one.name or one.pool_cidr) for one in found] == [
        ("v1", "Node", "a"), ("projectcalico.org/v3", "IPPool", "p"),
        ("v1", "ipPool", "10.1.0.0/16"), ("v1", "ipPool", "10.2.0.0/16")]
    assert found[1].mark_of("spec", "cidr") == Mark("f", 9, 38)
    assert found[3].mark_of("metadata", "cidr").line == 12
    assert found[1].mark_of("spec", "none", "such") == found[1].mark_of("spec")
    assert set(found[0].marks) == {(), ("apiVersion",), ("kind",), ("metadata",), ("metadata", "name")}


def test_the_later_document_of_a_name_replaces_the_earlier_in_its_place() -> None:
    before = documents(POOL % ("a", "10.0.0.0/16") + "---\n" + POOL % ("b", "10.1.0.0/16"))
    after = apply(before, documents(POOL % ("a", "10.2.0.0/16")))
    assert [(one.name, one.pool_cidr) for one in after] == [("a", "10.2.0.0/16"), ("b", "10.1.0.0/16")]


def test_a_document_is_asked_once() -> None:
    asked = []

    def name(document: Document) -> str:
        asked.append(document)
        return document.name

    one = Document("v1", "Pod", "a", {}, Mark("x.yaml"))
    other = replace(one, name="b")
    assert [one.told(name), one.told(name), other.told(name), one.told(name)] == ["a", "a", "b", "a"]
    assert asked == [one, other]


def test_v1_pools_are_known_by_their_cidr_also_among_v3_pools() -> None:
    v1, v3 = documents(POOL_V1 % "10.0.0.0/16"), documents(POOL % ("a", "10.0.0.0/16"))
    assert [one.kind for one in apply(v3, v1)] == ["ipPool"]
    assert [one.kind for one in apply(v1, v3)] == ["IPPool"]
    assert len(apply(v1, documents(POOL_V1 % "10.1.0.0/16"))) == 2
    assert len(apply(v3, documents(POOL % ("b", "10.0.0.0/16")))) == 2     # two v3 pools of one CIDR are Calico's to refuse


def test_kind_group_and_namespace_keep_resources_apart() -> None:
    text = "---\n".join(
        f"apiVersion: {group}\nkind: {kind}\nmetadata: {metadata}\n" for group, kind, metadata in (
            ("v1", "Node", "{name: a}"), ("projectcalico.org/v3", "Node", "{name: a}"), ("v1", "Pod", "{name: a}"),
            ("v1", "Pod", "{name: a, namespace: b}")))
    assert len(apply((), documents(text))) == 4
    assert len(apply(documents(text), documents(text))) == 4
    crd = documents(POOL.replace("projectcalico", "crd.projectcalico").replace("v3", "v1") % ("a", "10.0.0.0/16"))
    assert len(apply(documents(POOL % ("a", "10.0.0.0/16")), crd)) == 1


def test_nameless_documents_never_replace() -> None:
    text = "apiVersion: v1\nkind: Thing\n"
    assert len(apply(documents(text), documents(text))) == 2
