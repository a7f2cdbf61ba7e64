"""Labs: scenarios with tasks for a learner, judged by the packets, rules and objects of the learner's own cluster.

    spec.py     a lab as written: `scenario.yaml` of a folder, with the line of every mistake
    catalog.py  the labs that come along
    start.py    a lab instance brought to where the learner begins
    state.py    what is kept with the instance: answers, hints shown, tasks passed
    running.py  the learner's cluster: objects, rules, connections
    ask.py      opens connections inside the sandbox and tells who answered
    rules.py    what iptables-save prints, followed from chain to chain
    facts.py    what can be asked about a cluster, by name
    answers.py  an answer as a person types it, held against a fact
    judge.py    the verdict on a task
    fake.py     a cluster made of dictionaries, for tests

Knows nothing of the command line.
"""
