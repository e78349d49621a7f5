"""One module per thing a user asks for. A service opens nothing and prints nothing: it is given an `Installation`.

Which belong together:

- a pair is issued: `issue`, `preflight`, `limits`, `naming`, `login`, `proof`, `reconcile`, `outcomes`, `progress`,
  `see_through`, `follow`, `status`, `resume`, `cancel`; each act of its road is in `road`
- limits refuse: `refusals`, `reserve`, `ways_out`
- what is due is carried out: `advance`, `engine`, `distributed`, `engines`, `background`, `checks`
- signing in to KSeF: `sign_in`, `ways`, `signing`, `signed_by`, `signed_purpose`, `patience`, `together`, `token_keys`
- a company and its connection: `connect`, `connections`, `connection_check`, `verify`, `control`, `company`, `board`,
  `calendar`, `timeline`; step by step, as wizard and API walk it, in `onboarding`, and `onboarding_follows`
- many companies: `invitations`, `imports`
- permissions: `operator`, `grant`, `by_hand`, `withdraw`
- certificates: `certificates`, `import_`, `export`, `revoke`, `doctor`
- renewal: `renewal`
- people and programs that come in: `accounts`
- others are told: `telling`
- the installation: `installation`, `audit`, `audit_files`, `backup`, `restored`, `compare`, `census`
"""
