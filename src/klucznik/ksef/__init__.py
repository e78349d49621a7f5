"""The client of KSeF: sign-in, limits, enrollment, certificates, KOD II links.

No rule of ours lives here (domain), no key rests here (keys), nothing is saved here (storage).
"""
