"""How the kernel is told: IPVS by generic netlink, sets by nfnetlink, kube-ipvs0 and its addresses by rtnetlink.

    session.py   a socket in the node's namespace that sends any number of requests and names the one that fails
    genl.py      virtual and real servers
    ipset.py     sets and their elements, many in one message
    link.py      the device and the node's addresses

Programs would do it, too, but each takes a process, and kube-proxy starts one for each element (its dumps' README).
"""
