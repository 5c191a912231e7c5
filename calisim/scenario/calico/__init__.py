"""What Calico accepts: one table of rules a kind, as the v3 API server and calicoctl judge documents.

``rules`` holds the combinators, ``values`` the vocabulary of single values; every other file is the table of
some kinds. Sources: Calico resource reference, the CRDs' schemas and libcalico-go's v3 validator (3.33);
v1 resources: libcalico-go 1.7 and its v1-to-v3 converters.
"""
