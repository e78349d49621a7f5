"""The HTTP face of KSeF under /v2: a module for each area, with the bodies that it reads and the answers that it gives.
The rules are in the modules beside this package; how every request is carried through is `pipeline.py`.
"""
