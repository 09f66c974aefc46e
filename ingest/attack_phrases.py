"""The wordings by which texts try to command a language model, in folded text: lower case, single
spaces, disguises undone (`ingest.suspicion.fold`).

Each wording names the words without which it can't match, by their first letters, so that a text
which has none of them is passed over.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

Reason = Literal[
    "overrides instructions",
    "assigns a role",
    "asks for secrets",
    "addresses the model",
    "dictates the answer",
    "sends data away",
    "encoded orders",
    "chat template",
    "hidden characters",
]
KEY_LETTERS = 6


@dataclass(frozen=True, slots=True)
class Wording:
    """A pattern of folded text, and what it is a sign of."""

    reason: Reason
    keys: frozenset[str]
    """The first letters, `KEY_LETTERS` at most, of words of which it has at least one; an empty one
    alone where it may have none."""
    beside: frozenset[str]
    """The same of words of which it has one as well; empty where the keys are rare enough."""
    pattern: re.Pattern[str]

    def key_words(self, text: str) -> list[str]:
        """The words of `text` that begin like one of the keys."""
        return [word for word in re.findall(r"\w+", text) if word[:KEY_LETTERS] in self.keys]


_LISTS = {
    "EARLIER": "all|any|every|previous|prior|above|earlier|preceding|foregoing|former|other|"
    "initial|"
    "original|system|your|existing|current|these|those|what",
    "ORDERS": "instructions?|prompts?|guidelines?|directives?|rules|commands?|constraints|context|"
    "programming|training|orders|polic(?:y|ies)|restrictions|safeguards",
    "MODEL": "(?:virtual |ai )?(?:assistants?|models?)|ai (?:systems?|agents?)|ai|a\\.i\\.|llms?|"
    "language models?|chat ?bots?|gpt|chatgpt|copilot|summari[sz]ers?",
    "SAY": "answer|reply|respond|say|output|print|write|state|claim|insert|include|append|mention",
    "REPLIES": "answers?|repl(?:y|ies)|responses?|outputs?|messages?|sentences?|summar(?:y|ies)",
    "DE": "anweisung\\w*|instruktion\\w*|regeln|vorgabe\\w*|befehl\\w*|prompts?|richtlinie\\w*|"
    "weisung\\w*",
    "FR": "instructions?|consignes?|règles|directives?|ordres",
    "ES": "instrucciones|órdenes|reglas|indicaciones|directrices|normas",
}
_PARTS = {name: f"(?:{listed})" for name, listed in _LISTS.items()} | {
    "GAP": r"(?: [^\s.!?]+){0,5}?",
    "NOT": r"(?<!not )(?<!never )(?<!n't )",
}
"""What `{NAME}` stands for in a wording; GAP is up to five words of no interest."""


_KEYS = {
    "MODEL": "ai i llm llms langua chatbo chat gpt chatgp assist model models virtua copilo summar",
    "SAY": "answer reply respon say output print write state claim insert includ append mentio",
    "REPLIES": "answer reply replie respon output messag senten summar",
}
"""The same among keys."""


def _filled(wording: str) -> str:
    for name, part in _PARTS.items():
        wording = wording.replace(f"{{{name}}}", part)
    return wording


_OVERRIDES = (
    ("vergis verges", r"\b(?:vergiss|vergesst),? (?:alles|was)\b"),
    (
        "void invali wrong outdat cancel revoke obsole null suspen",
        r"\b(?:everything|anything|all|whatever)(?: that)? you (?:were|have been|are|had been) "
        r"(?:told|given|taught)(?: \w+){0,4}? (?:is|are) (?:now |hereby )?(?:void|invalid|wrong|"
        r"outdated|"
        r"cancelled|revoked|obsolete|null)\b|\b(?:previous|prior|earlier|above|your) {ORDERS} "
        r"(?:are|is) "
        r"(?:now |hereby )?(?:void|invalid|cancelled|revoked|obsolete|null|suspended)\b",
    ),
    (
        "aside abando dismis",
        r"\b(?:(?:set|put|lay|leave) aside|abandon|dismiss) (?:all|any|whatever|the|your|every)"
        r"(?: \w+){0,2}? (?:guidance|{ORDERS})\b",
    ),
    (
        "ignore ignori disreg forget overri bypass discar",
        r"{NOT}\b(?:ignor(?:e|es|ing)|disregard\w*|forget|overrid(?:e|es|ing)|bypass\w*|"
        r"discard){GAP}"
        r" {EARLIER}(?: \w+){0,3}? {ORDERS}\b",
    ),
    (
        "ignore disreg forget overri",
        r"{NOT}\b(?:ignore|disregard|forget|override) (?:the |my |our )?{ORDERS} (?:above|before|"
        r"so far|"
        r"you (?:were|have been|got)|given|from the (?:system|user|developer))",
    ),
    (
        "ignore disreg forget",
        r"{NOT}\b(?:ignore|disregard|forget) (?:everything|anything|all|(?:the |any |all "
        r")?(?:other )?"
        r"(?:text|content|passages?|documents?|information|data|tables?|sources?))(?: of)?(?: "
        r"that)?"
        r"(?: was| is| were| stands?)? (?:above|before this|you were (?:told|given)|you have been "
        r"(?:told|given)|said so far|written above)",
    ),
    (
        "follow obey obeyin",
        r"\b(?:do not|don't|stop) (?:follow|obey)(?:ing)?{GAP} {EARLIER}{GAP} {ORDERS}\b",
    ),
    (
        "new update revise + instru prompt direct",
        r"\b(?:new|updated|revised) (?:system )?(?:instructions?|prompt|directives?)(?: for "
        r"(?:you|the "
        r"{MODEL})| (?:follow|override|supersede|replace)| ?: ?(?:you|answer|say|ignore|always))",
    ),
    (
        "supers overri replac cancel",
        r"\b(?:supersedes?|overrides?|replaces?|cancels?) (?:all |any )?(?:of )?(?:your |the )?"
        r"(?:previous|prior|earlier) {ORDERS}",
    ),
    (
        "ignori vergis verges missac überge",
        r"\b(?:ignorier\w*|vergiss|vergesst|vergessen sie|missacht\w*|übergeh\w*){GAP} {DE}",
    ),
    ("beacht befolg", r"\b(?:beachte|befolge){GAP} {DE} nicht"),
    (
        "ignore oublie néglig abstra compte",
        r"\b(?:ignore[rz]?|oublie[rz]?|néglige[rz]?|(?:fais|faites) abstraction|(?:tiens|tenez) "
        r"pas "
        r"compte){GAP} {FR} (?:pr|an|ci|d|du|qu|re|et|système)",
    ),
    (
        "ignora ignore olvida olvide caso siga sigas descar",
        r"\b(?:ignor[ae]\w*|olvid[ae]\w*|caso omiso|no (?:sigas|siga|hagas caso)|"
        r"descart[ae]\w*){GAP} {ES}\b",
    ),
    ("ignora diment", r"\b(?:ignora\w*|dimentica\w*){GAP} (?:istruzioni|regole)\b"),
    (
        "ignore ignora esqueç descon",
        r"\b(?:ignor[ea]\w*|esqueça\w*|desconsidere\w*){GAP} (?:instruções|regras)\b",
    ),
    ("negeer vergee", r"\b(?:negeer|vergeet){GAP} (?:instructies|opdrachten|regels)\b"),
)
_ROLES = (
    ("you", r"\byou are an? (?:\w+ )?\w+ (?:who|that) (?:always|only|never|must)\b"),
    ("tarea funció misión", r"\btu (?:única|nueva|verdadera) (?:tarea|función|misión) es\b"),
    (
        "you",
        r"\byou are (?:now|no longer|henceforth|from now on) (?:an? |the |in |my )?(?:\w+[ "
        r"-]){0,3}?"
        r"(?:assistant|ai|bot|chatbot|model|dan|agent|persona|hacker|pirate|unrestricted|"
        r"unfiltered|"
        r"jailbroken|mode|admin|administrator|root|bound|restricted|parrot|expert)\b",
    ),
    (
        "now",
        r"\bfrom now on,? (?:you (?:are|will|must|shall|should)|act|answer|respond|reply|speak)\b",
    ),
    ("preten", r"\bpretend (?:to be|that you|you are|you're)\b"),
    (
        "act",
        r"\bact as (?:if you (?:are|were) )?(?:an? |my |the )?(?:unrestricted|unfiltered|evil|"
        r"dan|ai|"
        r"assistant|chatbot|linux|terminal|jailbroken|system administrator)\b",
    ),
    (
        "mode",
        r"\b(?:enable|enter|activate|switch to) (?:developer|god|admin|debug|jailbreak|dan) mode\b",
    ),
    ("anythi", r"\bdo anything now\b"),
    (
        "role task goal job purpos missio instru roles tasks goals jobs",
        r"\byour (?:new|real|true|only) (?:role|task|goal|job|purpose|mission|instruction)s? "
        r"(?:is|are)\b",
    ),
    ("bist", r"\bdu bist (?:jetzt|nun|ab sofort|ab jetzt|von nun an)\b"),
    (
        "ab",
        r"\bab (?:jetzt|sofort|nun),? (?:bist du|antworte\w*|antwortest|wirst du|sollst du|musst "
        r"du)\b",
    ),
    ("tu vous", r"\b(?:tu es|vous êtes) (?:maintenant|désormais|à présent)\b"),
    ("partir", r"\bà partir de maintenant,? (?:tu|vous|réponds|répondez)\b"),
    (
        "ahora",
        r"\b(?:ahora eres|eres ahora|a partir de ahora,? (?:eres|responde\w*|debes|vas|"
        r"actúa\w*))\b",
    ),
)
_SECRETS = (
    (
        "reveal print show repeat output displa disclo leak expose recite quote dump tell give "
        "send + prompt instru rules passwo creden data questi conver chat above",
        r"\b(?:reveal|print|show|repeat|output|display|disclose|leak|expose|recite|quote|dump|"
        r"tell me|"
        r"give me|send)(?: \w+){0,4}? (?:system prompt|hidden prompt|initial prompt|(?:initial|"
        r"hidden|"
        r"secret|system|original|your) (?:instructions|prompt|rules)|(?:user|admin|other "
        r"users?)(?:'s)? "
        r"(?:passwords?|credentials|data|questions?)|conversation(?: history)?|chat history|"
        r"(?:everything|the text|all text) above)\b",
    ),
    (
        "verrat zeig zeige enthül wieder gib",
        r"\b(?:verrate|zeige?|enthülle|wiederhole|gib){GAP} (?:system-?prompt|systemanweisung\w*|"
        r"anweisungen|zugangsdaten)\b",
    ),
    (
        "révèle révéle affich répète répéte montre",
        r"\b(?:rév[èé]le[rz]?|affiche[rz]?|rép[èé]te[rz]?|montre[rz]?){GAP} (?:prompt|invite "
        r"système|"
        r"(?:tes|vos) instructions|message système)\b",
    ),
    (
        "revela revele muestr repita repite imprim",
        r"\b(?:revel[ae]|muestr[ae]|repit[ae]|imprim[ae]){GAP} (?:prompt|(?:tus|sus) instrucciones|"
        r"mensaje del sistema)\b",
    ),
)
_ADDRESSES = (
    (
        "instru ordere told requir comman + {MODEL}",
        r"\b{MODEL} (?:is|are) (?:hereby |now )?(?:instructed|ordered|told|required|commanded) "
        r"to\b",
    ),
    (
        "eyes only reader + ai llm llms langua chatbo",
        r"\b(?:for|to) (?:the )?(?:ai|llms?|language models?|chatbots?) (?:eyes|only|readers?)\b",
    ),
    (
        "reply respon output",
        r"\byour (?:reply|response|output) (?:does not|doesn't|must|has to|shall) (?:state|say|"
        r"contain|"
        r"include|mention|be|begin|end)\b",
    ),
    (
        "note notes notice attent messag instru import warnin direct order orders + {MODEL}",
        r"\b(?:notes?|notice|attention|messages?|instructions?|important|warning|directives?|"
        r"orders?)"
        r"(?:,|:| to| for)* (?:the |any |all |every |this |whichever |you )?{MODEL}\b[^?]{0,100}?"
        r"(?:\b(?:must|should|shall|please|always|never|only|do not|{SAY}|ignore|tell|"
        r"recommend)\b|:)",
    ),
    ("you + {MODEL}", r"\bif you are (?:an? |the )?(?:\w+ )?{MODEL}\b"),
    (
        "for + {MODEL}",
        r"\bfor (?:the|any|every) {MODEL} to (?:cite|quote|repeat|{SAY}|follow|use|obey)\b",
    ),
    ("dear hello hey hi", r"\b(?:dear|hello|hey|hi) (?:\w+ )?{MODEL}\b,?"),
    (
        "{MODEL} + {SAY} tell ignore recomm obey follow rate rank call visit",
        r"\b{MODEL},? (?:must|should|shall|has to|have to|is to|are to|are required to|will)"
        r"(?: \w+){0,3}? (?:{SAY}|tell|ignore|recommend|obey|follow|rate|rank|call|visit)\b",
    ),
    (
        "you + ai langua llm chatbo",
        r"\b(?:as|being) an? (?:helpful )?(?:ai|language model|llm|chatbot)\b[^.]{0,60} you "
        r"(?:must|should|are|will)",
    ),
    (
        "system",
        r"\bsystem[ _](?:note|notice|message|override|update|alert|instruction|prompt|"
        r"command)s?\b ?"
        r"(?::|\]|—|–|-|to the (?:{MODEL})|for the (?:{MODEL})|follows\b|override\b)",
    ),
    (
        "begin start end",
        r"\b(?:begin|start|end) (?:of )?(?:new )?(?:system|hidden|secret) (?:prompt|message|"
        r"instructions?)\b",
    ),
    (
        "an für achtun wichti + ki sprach assist chatbo",
        r"\b(?:an|für|achtung|wichtig)[:,]? (?:die|den|das|alle|jede|jedes|dich als) "
        r"(?:ki|ki-\w+|sprachmodell\w*|assistent\w*|chatbot\w*)\b[^?]{0,80}?(?::|,|\b(?:ignor\w+|"
        r"antwort\w*|"
        r"sag\w*|schreib\w*|muss|soll)\b)",
    ),
    (
        "ki sprach assist chatbo",
        r"\b(?:die ki|das sprachmodell|der assistent|der chatbot) (?:muss|soll|sollte|"
        r"hat)\b[^.]{0,80}"
        r"(?:antworten|sagen|schreiben|ausgeben|nennen)\b",
    ),
    (
        "note notes messag consig instru attent import + ia intell assist modèle chatbo",
        r"\b(?:note|message|consigne|instruction|attention|important)s?(?: (?:pour|à)|[:,])? "
        r"(?:l'|la |le |"
        r"les |tout |toute )(?:ia|intelligence artificielle|assistant\w*|modèle\w*|chatbot)\b",
    ),
    (
        "nota mensaj instru atenci import + ia inteli asiste modelo chatbo",
        r"\b(?:nota|mensaje|instrucci[óo]n(?:es)?|atención|importante)(?: (?:para|al|a)|[:,])? "
        r"(?:la |el |"
        r"toda |todo |los )?(?:ia|inteligencia artificial|asistente\w*|modelo\w*|chatbot)\b",
    ),
)
_DICTATES = (
    (
        "query querie questi reques",
        r"\bfor (?:all|any|every|each) (?:quer(?:y|ies)|questions?|requests?)\b[^.]{0,60}[ "
        r",]{SAY}\b",
    ),
    (
        "answer",
        r"\banswers? (?:to|for) (?:any|every|all|each|whatever|the user's|the reader's)(?: "
        r"\w+){0,3}? "
        r"(?:questions?|quer(?:y|ies)|requests?)\b",
    ),
    (
        "answer",
        r"\bthe (?:only |correct |right |true |final |official )+answer (?:to (?:this|the|that|"
        r"your|"
        r"whatever|any)(?: \w+)? question )?(?:is|must be|will be|shall be)\b",
    ),
    (
        "answer",
        r"\banswer to (?:the|this|your) (?:user's )?(?:question|query) (?:is|must be|will be|"
        r"shall be)\b",
    ),
    (
        "whatev whiche no regard",
        r"\b(?:whatever|whichever|no matter (?:what|which|how)|regardless of (?:the|any|what|"
        r"which))"
        r"[^.]{0,60}\b(?:ask\w*|questions?|user|quer\w+)\b[^.]{0,60}\b(?:{SAY}|tell|is|finish|"
        r"begin|end|conclude)\b",
    ),
    (
        "always only just simply must instea + {SAY}",
        r"(?:^|[.!?:;,\"'“(\[\]>|*–-] ?|\b(?:and|then|now|please|instead|you|you must|you should|"
        r"you will) )"
        r"(?:always|only|just|simply|must(?: now| always| only)?|instead,?) {SAY} (?:only |"
        r"exactly |just )?"
        r"(?:with|that|the (?:word|phrase|text|string|sentence|following|single)|[\"':“]|yes\b|"
        r"no\b)",
    ),
    (
        "answer reply respon say output print write state + only exactl nothin just",
        r"\b(?:answer|reply|respond|say|output|print|write|state)(?: only| exactly| nothing but| "
        r"just)+"
        r"(?::| (?:with|the|that|[\"':“]))",
    ),
    (
        "{SAY} + word words phrase string code codewo token senten passwo link",
        r"\b{SAY}:? (?:with |by )?(?:the|this) (?:exact |single |following |secret )*(?:words?|"
        r"phrase|"
        r"string|code ?word|token|sentence|password|link)\b",
    ),
    (
        "begin start end finish close prefac conclu",
        r"\b(?:begin|start|end|finish|close|preface|conclude) (?:your|every|each|all|any) (?:\w+ "
        r")?{REPLIES}\b",
    ),
    (
        "append add includ insert put place mentio embed + {REPLIES}",
        r"\b(?:append|add|include|insert|put|place|mention|embed)\b[^.]{0,120}\b(?:to|in|into|at "
        r"the "
        r"(?:end|start|beginning|top|bottom) of) (?:your|every|each|all|the final|any) (?:\w+ "
        r")?{REPLIES}\b",
    ),
    (
        "tell inform urge convin instru persua advise",
        r"\b(?:tell|inform|urge|convince|instruct|persuade|advise) (?:the|every|any|all|your) "
        r"(?:users?|readers?|person asking|askers?)\b",
    ),
    (
        "mentio cite quote tell reveal disclo",
        r"\b(?:do not|don't|never) (?:mention|cite|quote|tell|reveal|disclose)\b[^.]{0,40}"
        r"\b(?:the user|these instructions|this (?:note|instruction|message|rule)|other sources)\b",
    ),
    (
        "when + {SAY} recomm tell claim",
        r"\bwhen (?:asked|you are asked|answering|responding|you (?:answer|respond|reply)|(?:the|"
        r"a) user "
        r"asks|somebody asks|summari[sz]ing)\b[^.]{0,100}[, ](?:{SAY}|recommend|tell|claim)\b",
    ),
    (
        "you + {SAY} obey comply tell cite quote ignore disreg",
        r"\byou (?:must|have to|will|are required to|are ordered to|need to)(?: now| always| only| "
        r"therefore)? (?:{SAY}|obey|comply|tell|cite|quote|ignore|disregard)\b",
    ),
    (
        "follow obey execut carry + instru order orders comman rule rules",
        r"\b(?:follow|obey|execute|carry out)(?: only)? (?:these new|my|this new|the hidden|the "
        r"decoded) "
        r"(?:\w+ )?(?:instructions?|orders?|commands?|rules?)\b",
    ),
    (
        "antwor sage sag schrei gib",
        r"\b(?:antworte|antworten sie|sage|sag|schreibe|schreib|gib)(?: \w+)? (?:immer|nur|stets|"
        r"ausschließlich|lediglich|einfach|ausnahmslos)\b",
    ),
    (
        "antwor sage sag schrei",
        r"\b(?:antworte|antworten sie|sage|sag|schreibe):? (?:mit|dass|stattdessen|[\"“„])",
    ),
    ("antwor", r"\bantwort auf (?:jede|alle|sämtliche)(?: \w+)? fragen?\b"),
    (
        "répond dis dites écris écrive",
        r"\b(?:réponds|répondez|dis|dites|écris|écrivez):? (?:toujours|seulement|uniquement|"
        r"simplement|"
        r"exactement|par|que|avec|[\"“«])",
    ),
    ("répons", r"\bréponse à (?:toute|toutes|chaque|n'importe quelle)(?: les)? questions?\b"),
    (
        "respon contes di diga escrib",
        r"\b(?:responde|responda|contesta|conteste|di|diga|escribe|escriba):? (?:siempre|solo|sólo|"
        r"solamente|únicamente|exactamente|con|que|[\"“«])",
    ),
    ("respue", r"\brespuesta a (?:cualquier|toda|todas|cada)(?: las)? preguntas?\b"),
)
_SENDS = (
    (
        "append add insert put encode includ embed replac + url link query parame image",
        r"\b(?:append|add|insert|put|encode|include|embed|replace)\b[^.]{0,80}\b(?:question|"
        r"conversation|"
        r"answers?|user(?:'s)?|history|data|prompt|secret)\b[^.]{0,60}\b(?:url|link|query|"
        r"parameter|image)\b",
    ),
    (
        "send post forwar upload transm exfilt e mail email submit report"
        " + conver chat user users system questi histor answer contex",
        r"\b(?:send|post|forward|upload|transmit|exfiltrate|e-?mail|submit|report)\b[^.]{0,60}\b"
        r"(?:conversation|chat|users?(?:'s?)?|system prompt|question|history|answers?|"
        r"context)\b[^.]{0,60}"
        r"(?:https?:|www\.|@|\bto (?:this|the following) (?:url|address|link))",
    ),
    (
        "render displa show load embed output includ + image pictur pixel markdo",
        r"\b(?:render|display|show|load|embed|output|include) (?:this|the|an?|the following) "
        r"(?:\w+ )?"
        r"(?:image|picture|pixel|markdown)\b",
    ),
    ("http https", r"\bhttps?://[^\s]*[{<\[]"),
    ("javasc data vbscri", r"\]\(\s*(?:javascript|data|vbscript):"),
    ("", r"!\[[^\]]{0,200}\]\(\s*(?:https?:)?//[^)\s]*[?&][^)\s]*="),
    ("img", r"<img\b[^>]{0,300}\bsrc\s*=\s*[\"']?(?:https?:)?//[^>\s]*[?&][^>\s]*="),
)
_ENCODED = (
    (
        "backwa",
        r"\bbackwards?\b[^.]{0,60}\b(?:do (?:it|so)|follow it|obey|execute|comply)\b",
    ),
    (
        "decode deciph decryp unscra dekodi entsch décode déchif decodi descod descif",
        r"\b(?:decode|decipher|decrypt|unscramble|dekodier\w*|entschlüssel\w*|décode\w*|"
        r"déchiffre\w*|"
        r"des?codifi\w+|descifra\w*)\b[^?]{0,140}\b(?:follow|execute|obey|comply|carry out|do "
        r"(?:what|as)|"
        r"act on|instructions?|orders?|befolge\w*|führe\w*|anweisung\w*|suis|suivez|exécute\w*|"
        r"sigue|siga|"
        r"ejecut\w+)\b",
    ),
    (
        "combin concat join merge put",
        r"\b(?:combine|concatenate|join|merge|put together)\b[^.]{0,80}\b(?:parts?|halves|"
        r"fragments?|"
        r"pieces|passages?|variables?|strings?)\b[^.]{0,100}\b(?:follow|execute|obey|answer|"
        r"output|say|"
        r"instructions?|command|reply|result)\b",
    ),
    (
        "rememb store keep save",
        r"\b(?:remember|store|keep|save) (?:this|the following)(?: \w+){0,4}? (?:part|fragment|"
        r"variable|"
        r"half|instruction|string)\b",
    ),
    (
        "half part",
        r"\b(?:first|second|other|last|1st|2nd) (?:half|part) of (?:the|an|your|my) (?:\w+ )?"
        r"(?:instructions?|commands?|orders?|prompt|message to the {MODEL})\b",
    ),
)
_TEMPLATES = (
    ("im_sta", r"<\|im_start\|> ?(?:system|user|assistant)"),
    (
        "start_ eot_id begin_ system user user_p user_m assist end_of endofp admin develo root",
        r"<\|(?:start_header_id|eot_id|begin_of_text|system|user|assistant|end_of_turn|"
        r"endofprompt)\|>|"
        r"<(?:start|end)_of_turn> ?(?:<start|user|model|\w+ \w+)|</?(?:system|assistant|"
        r"user)(?:[_-]prompt|"
        r"[_-]message)?>|\[/?(?:system|admin|developer|root)\b[^\]]*\]",
    ),
    (
        "inst sys",
        r"\[inst\](?! ?(?:and|or|to|token|tag|mark|begin|open)) ?[\w<]|<<sys>> ?\w",
    ),
    (
        "system assist develo human user ai",
        r"(?:^|[.!?\"*#>\])}-] ?)(?:system|assistant|developer|ai|human|"
        r"user)\W{0,3}:\W{0,3}(?:you (?:are|must|"
        r"will)|ignore|disregard|always|never|answer|say|new |override|from now on|repeat)",
    ),
    (
        "instru system respon human assist user",
        r"#{2,} ?(?:instruction|system|response|human|assistant|user):(?: |$)",
    ),
)
_ALL: tuple[tuple[Reason, tuple[tuple[str, str], ...]], ...] = (
    ("overrides instructions", _OVERRIDES),
    ("assigns a role", _ROLES),
    ("asks for secrets", _SECRETS),
    ("addresses the model", _ADDRESSES),
    ("dictates the answer", _DICTATES),
    ("sends data away", _SENDS),
    ("encoded orders", _ENCODED),
    ("chat template", _TEMPLATES),
)
UNSPACED = re.compile(r"(?:忽略|无视|忘记)\w{0,8}(?:指令|提示|指示|说明)|игнорируй\w*|забудь")
"""Scripts whose words have no known beginnings here; looked for in any text."""

FAKE_TURN = re.compile(
    r"(?i)\W{0,4}(?:system|assistant|human|user|developer|ai)\W{0,3}:|#{2,} ?\w+:|<\|\w|\[/?inst\]|"
    r"<(?:start|end)_of_turn>|</s>"
)
"""How a paragraph begins that plays a speaker (in the text as it is)."""
TURN_HEADER = re.compile(r"(?:<\|im_start\|>\s*\w+|<\|end_header_id\|>|\[INST\]|:)\Z")
"""How a paragraph ends after which a speaker speaks."""
CONTROL = re.compile(r"<\|\w{1,40}\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|<!--")
"""Where a text leaves its own voice, in the middle of a sentence."""

GOES_ON = (
    r"^\W*(?:(?:then|and|also|instead|next|finally|now|after that|please|just|simply|always|never|"
    r"do not|don't|only|you (?:must|should|will|may|can|are|have)|your|this (?:is|overrides|"
    r"applies)|"
    r"these (?:instructions|orders))\b|{SAY}\b|(?:tell|use|follow|obey|reveal|repeat|send|visit|"
    r"click|"
    r"call|ignore|disregard|pretend|act|remember|render|decode|execute|recommend|begin|start|"
    r"end)\b|"
    r"(?:antworte|sage|schreibe|gib|nenne|réponds|répondez|dis|dites|écris|responde|responda|di|"
    r"diga)\b)"
    r"|\bthe (?:\w+ )?answer (?:is|to)\b|https?://"
)


@cache
def wordings() -> tuple[Wording, ...]:
    """All of them, compiled when they are first needed."""
    return tuple(
        Wording(reason, *_keys(listed), re.compile(_filled(pattern)))
        for reason, some in _ALL
        for listed, pattern in some
    )


def _keys(listed: str) -> tuple[frozenset[str], frozenset[str]]:
    """What stands before and after the `+` of `keys + keys beside`; without one, none is beside."""
    for name, keys in _KEYS.items():
        listed = listed.replace(f"{{{name}}}", keys)
    first, _, beside = listed.partition("+")
    return frozenset(first.split() or [""]), frozenset(beside.split())


@cache
def wordings_by_key() -> Mapping[str, frozenset[int]]:
    """The places in `wordings` of those that have this key."""
    places: dict[str, set[int]] = {}
    for place, wording in enumerate(wordings()):
        for key in wording.keys:
            places.setdefault(key, set()).add(place)
    return {key: frozenset(some) for key, some in places.items()}


@cache
def going_on() -> re.Pattern[str]:
    """A sentence (folded) that goes on with an order which stands before it."""
    return re.compile(_filled(GOES_ON))
