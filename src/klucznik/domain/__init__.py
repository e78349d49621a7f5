"""Pure rules: identifiers, limits, the decision before a generation, the states of an issuance.

Nothing here does I/O, reads a clock or imports another part of Klucznik.
"""
