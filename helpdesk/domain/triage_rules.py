"""What a wallet's customers write about, as rules that a supervisor can read and argue with.

Words are matched in folded text (`domain.search_folding`): lower case, simplified. An English one is a whole word or
phrase, and with a `*` the beginning of one. Chinese has no blanks, so its words are found anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from helpdesk.domain.values import Priority

VERSION: Final = 1
"""Rises with every change of a rule, so that a suggestion says by which rules it was made."""

CATEGORIES: Final = ("security", "transaction", "account", "technical", "complaint", "how-to", "feedback")
"""Of two with the same score the earlier is taken: it is the one that suffers more from waiting."""

ADVERTISING: Final = "advertising"
"""No category: where it outweighs them all, nothing is suggested."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Speaks once, with its weight, however many of its words are there.

    `deniable` words do not count where they are denied or only supposed: "not stolen", "what if it is stolen".
    """

    name: str
    category: str
    weight: int
    words: tuple[str, ...]
    priority: Priority | None = None
    deniable: bool = False


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(word.strip() for line in lines for word in line.split("|"))


RULES: Final = (
    Rule(
        "theft",
        "security",
        8,
        _words(
            "logged into my account|got into my account|broke into my account|stolen|stole|hacked|got hacked",
            "drained|robbed|scammed|got scammed|hijacked|compromised|phished|wiped out my wallet",
            "without my permission|without my consent|unauthorized|unauthorised|not authorized by me",
            "did not authorize|didn't authorize|did not make this transfer|didn't make this transfer|someone took",
            "somebody took|was not me|wasn't me|fell for a scam|been a victim|sim swap*",
            "被盗|盗走|盗了|盗刷|偷走|被偷|被黑|黑客|被转走|转走了|被骗|诈骗了|骗走|盗用|中了钓鱼|不是我操作",
            "非本人|未经授权|未经我|不是本人|不明转出|遭盗|遭骇|被骇",
        ),
        Priority.URGENT,
        deniable=True,
    ),
    Rule(
        "leaked secret",
        "security",
        8,
        _words(
            "leaked|exposed my|shared my seed*|shared my recovery*|shared my private*|gave away my|gave my seed*",
            "gave my recovery*|gave them my seed*|gave them my recovery*|gave him my seed*|typed my seed*",
            "typed my recovery*|entered my seed*|entered my recovery*|posted my seed*|sent my seed*",
            "sent my private key*",
            "泄露|泄漏|外泄|助记词给了|助记词发给|私钥给了|私钥发给|把助记词告诉|把私钥告诉|输入了助记词",
            "填了助记词",
        ),
        Priority.URGENT,
        deniable=True,
    ),
    Rule(
        "suspicion",
        "security",
        4,
        _words(
            "suspicious|phishing|fake app|fake site|fake website|fake support|scam|scammer*|impersonat*|fraud*",
            "malware|virus|unknown device|unknown login|strange login|login from a place|someone is trying",
            "somebody is trying",
            "可疑|钓鱼|假冒|冒充|仿冒|假网站|假客服|诈骗|骗子|木马|病毒|陌生设备|异地登录|异常登录",
        ),
        Priority.HIGH,
        deniable=True,
    ),
    Rule(
        "secrets",
        "security",
        1,
        _words(
            "seed phrase*|recovery phrase*|secret phrase|private key*|mnemonic|security|safe|secure",
            "助记词|恢复词|私钥|安全",
        ),
    ),
    Rule(
        "money missing",
        "transaction",
        5,
        _words(
            "where is my money|where are my funds|balance shows zero|balance is zero|not arrived|hasn't arrived",
            "has not arrived|haven't arrived|didn't arrive|did not arrive|never arrived|not received",
            "haven't received|have not received|hasn't been credited|not credited|not been credited|still pending",
            "stuck|missing deposit|missing funds|funds are missing|money is gone|not showing up|wrong address",
            "wrong network|wrong chain|balance is wrong|lost my funds|charged twice|double charged",
            "transaction failed|transfer failed|withdrawal failed|never showed up|did not show up|didn't show up",
            "unconfirmed|no confirmation*|still waiting for my",
            "余额显示为零|余额为零|余额显示0|余额为0|没到账|未到账|没有到账|没到|不到账|还没到|迟迟不到|没收到",
            "未收到|没有收到|卡住|转错|打错地址|充错|错误的地址|余额不对|少了|不见了|转账失败|交易失败|提现失败",
            "提币失败|一直待确认|一直处理中|重复扣款|多扣|未确认|没有确认",
        ),
        Priority.HIGH,
    ),
    Rule(
        "moving money",
        "transaction",
        3,
        _words(
            "withdraw*|deposit*|transfer*|transaction*|txid|tx hash|txhash|payment*|payout*|refund*|swap*",
            "exchange|gas|usdt|usdc|btc|eth|trc20|erc20|network fee|bridge*|staking|top up|sent to",
            "转账|提现|提币|充值|充币|交易|汇款|付款|退款|兑换|到账|哈希|矿工费|手续费|链上|收款|跨链|转出|转入",
            "入金|出金",
        ),
    ),
    Rule(
        "locked out",
        "account",
        6,
        _words(
            "lost my seed*|lost my recovery*|forgot my seed*|can't log in|cannot log in|can not log in",
            "can't login|cannot login|unable to log in|unable to login|can't sign in|cannot sign in",
            "unable to sign in|locked out|account is locked|account locked|account was locked|account is frozen",
            "account frozen|account suspended|account is suspended|account has been suspended|account is disabled",
            "account disabled|lost my phone|lost access|lost my 2fa|can't access my account",
            "cannot access my account|no longer have access",
            "助记词弄丢|助记词丢|忘记助记词|助记词忘|登不上|登录不了|无法登录|不能登录|登不进|登入不了|无法登入",
            "不能登入|账号被锁|账户被锁|账号被封|账户被封|账号被冻结|账户被冻结|账户冻结|手机丢了|换了手机",
            "收不到验证码",
        ),
        Priority.HIGH,
    ),
    Rule(
        "account matters",
        "account",
        3,
        _words(
            "password*|reset my|log in|login|sign in|sign up|register*|verification|verify my|kyc",
            "identity document*|passport|two-factor|2fa|authenticator|my account|delete my account",
            "close my account|change my email|change my phone|change my name|new phone number|email address on",
            "my profile",
            "密码|登录|登入|注册|实名|身份验证|身份认证|身份证|验证码|二次验证|两步验证|谷歌验证|注销|换绑",
            "更换邮箱|更换手机|修改邮箱|我的账号|我的账户",
        ),
    ),
    Rule(
        "broken",
        "technical",
        5,
        _words(
            "crash*|error|error code|bug|bugs|freezes|freezing|white screen|black screen|blank screen",
            "doesn't load|does not load|won't load|won't open|does not open|doesn't open|not loading",
            "keeps closing|not working|doesn't work|does not work|stopped working|api returns|timeout|timed out",
            "sync*|not syncing|can't connect|cannot connect|unable to connect|fails to connect|can't install",
            "cannot install",
            "闪退|崩溃|报错|错误代码|白屏|黑屏|打不开|加载不出|无法加载|无响应|卡死|不能用|用不了|无法使用",
            "连接不上|连不上|无法连接|同步不了|无法同步|无法安装",
        ),
    ),
    Rule(
        "devices",
        "technical",
        1,
        _words(
            "android|iphone|ios|windows|browser|chrome|extension|ledger|trezor|update|version|screenshot|api|app",
            "plugin",
            "安卓|苹果|浏览器|插件|扩展|更新|版本|截图|系统|应用",
        ),
    ),
    Rule(
        "asking how",
        "how-to",
        5,
        _words(
            "how do i|how do you|how can i|how to|how should i|how does|how would i|where do i|where can i",
            "where is the setting|what is the best way|what's the best way|is it possible to|can you explain",
            "could you explain|step by step|tutorial|guide|instructions|is there a way to|what does",
            "what is the difference|what are the fees|how much is|how long does",
            "怎么才能|怎样|如何|怎么设置|怎么操作|怎么使用|怎么用|怎么转|怎么提|怎么充|怎么买|怎么备份|怎么保",
            "怎么查|怎么开|怎么改|教程|步骤|什么意思|在哪里设置|在哪设置|可以教|请教|是什么|要多久|怎么添加",
            "怎么导入|怎么绑|怎么创建|在哪里可以",
        ),
    ),
    Rule(
        "anger",
        "complaint",
        7,
        _words(
            "complaint|complain|complaining|unacceptable|outrageous|ridiculous|terrible service|terrible support",
            "worst|disgusted|disgusting|disappointed|rip-off|rip off|ripoff|fed up|nobody answers|no one answers",
            "nobody replies|no one replies|ignoring me|ignored me|waste of time|poor service|bad service|angry",
            "disgrace|shame on you|far too high|too expensive",
            "投诉|不满|太差|太烂|垃圾|太慢了|太离谱|离谱|坑人|没人理|没人回|没人管|不负责|气死|太贵|太高了|失望",
            "态度恶劣|敷衍|忍无可忍",
        ),
        deniable=True,
    ),
    Rule(
        "threat of law",
        "complaint",
        4,
        _words(
            "lawyer|attorney|sue you|legal action|regulator|ombudsman|consumer protection|take you to court",
            "律师|起诉|法律途径|监管|消费者协会|消协|消保|曝光你们",
        ),
        Priority.HIGH,
        deniable=True,
    ),
    Rule(
        "praise and wishes",
        "feedback",
        5,
        _words(
            "suggestion*|suggest that|feature request|would be nice|would be great|would love to see",
            "it would help if|please add|i wish|could you add|great app|love the app|love your app|love this app",
            "love the new|well done|good job|great work|excellent|feedback|keep it up|my opinion",
            "建议|希望能|希望可以|希望增加|希望支持|能不能增加|能否增加|要是能|反馈|点赞|很好用|好用|做得好",
            "做得不错|很棒|太棒了|赞一个|非常满意",
        ),
        deniable=True,
    ),
    Rule(
        "selling something",
        ADVERTISING,
        9,
        _words(
            "seo|backlink*|guest post*|link building|web traffic|increase your traffic|rank on google",
            "first page of google|lead generation|email list*|marketing agency|our agency|recovery expert",
            "recovery service*|funds recovery|crypto recovery|unsubscribe|dear business owner|listing proposal",
            "listing service*|sponsored article*|promote your|market making service*|boost your",
            "partnership proposal",
            "推广服务|代运营|优化排名|刷量|上币服务|商务合作|引流|代开发票|代发|退订|加微信了解|招商|贷款办理",
        ),
    ),
)
