"""The kernels that a lab instance can run on, as words: this one, User Mode Linux, a virtual machine.

A guest is a booted kernel (uml or vm) over this machine's files. Inside it everything is as it is natively: the
same code, the same sandbox. `choose` says which kernel a run takes, `guests` boots one, `enter` runs a program
in it.
"""

NATIVE = "native"
GUESTS = ("uml", "vm")
KERNELS = (NATIVE, *GUESTS)  # the cheaper one first: so `auto` tries them
AUTO = "auto"
CHOICES = (*KERNELS, AUTO)
VARIABLE = "TESTBED_KERNEL"  # the environment's word for --kernel
