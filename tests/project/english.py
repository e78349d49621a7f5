"""Words that no Polish sentence has, and that hardly any English one does without."""

import re

ENGLISH = re.compile(
    r"\b(the|an|and|of|is|are|was|were|be|been|not|with|without|for|from|into|you|your|this|that|these|it|its|or|has|have|had"
    r"|can|cannot|may|must|will|would|which|who|what|when|where|there|here|only|than|then|they|their|but|if|as|at|in"
    r"|again|already|sign|signed|request|requests|certificate|certificates|company|key|keys|file|files|password|error"
    r"|owner|check|try|run|use|wait|give|given|show|set|make|write|unknown|refused|missing|permission|permissions"
    r"|session|now|later|before|after|two|all|any|every|new|old|other|another|answer)\b",
    re.IGNORECASE,
)
