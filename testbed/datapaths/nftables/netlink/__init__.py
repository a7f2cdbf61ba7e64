"""nf_tables over netlink: requests as bytes, transactions and lists, in the kernel's words.

The program `nft` reads the whole table before each command; this does not. Knows linux/netfilter/nf_tables.h, and
nft's own notes in user data (libnftnl's udata.h). Knows no Service and no model of a table: `../encode.py` and
`../decode.py` translate.

    expressions.py   what a rule is made of
    requests.py      a table, chain, rule, set, elements: made, emptied, deleted
    transaction.py   many requests, all or none
    culprit.py       which object a refused request was about
    listing.py       what the kernel holds
"""
