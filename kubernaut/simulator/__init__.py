"""The simulated executor of the local stack: it only says that it carries out actions; nothing is ever changed.

The real executor is another product. This one stands in for it, so that workflows run to their end on one machine: it
takes each KubernetesExecution through its phases, with the typical duration of its action scaled down, and misbehaves
where an annotation on the workflow asks for it (`kubernaut.simulator.behaviour`). Must never be part of a deployment.
"""
