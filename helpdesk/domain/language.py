"""Which of the languages that we answer in a text is written in: by script first, by common words where scripts agree.

`zh-CN` and `zh-TW` are told apart by characters that only one of them uses. Anything else is answered in English. The
acknowledgement is a few sentences, so a wrong guess costs little; a model of tens of megabytes would cost more.
"""

from __future__ import annotations

import re
from collections import Counter

SUPPORTED = ("en", "zh-CN", "zh-TW")
_SAMPLE = 4000

# Frequent characters that differ between the two, each side in the same order.
_SIMPLIFIED = frozenset(
    "们这个来为时会学对发国经过说问题没还后现实际开关见电话钱币转账号码无输错误谢请帮动让给进报单亏损处买卖应该点击录验证"
    "难网络页链视频图资产导级认识复写听觉预处门间闭头条块区业务确权状态时显间约总统绑设备务办"
)
_TRADITIONAL = frozenset(
    "們這個來為時會學對發國經過說問題沒還後現實際開關見電話錢幣轉帳號碼無輸錯誤謝請幫動讓給進報單虧損處買賣應該點擊錄驗證"
    "難網絡頁鏈視頻圖資產導級認識複寫聽覺預處門間閉頭條塊區業務確權狀態時顯間約總統綁設備務辦"
)
_ONLY_SIMPLIFIED = _SIMPLIFIED - _TRADITIONAL
_ONLY_TRADITIONAL = _TRADITIONAL - _SIMPLIFIED

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HANGUL = re.compile(r"[\uac00-\ud7af]")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
_ASCII_RUN = re.compile(r"[!-~]+")
_CODE = re.compile(r"\d|://|@")


def _spoken(run: re.Match[str]) -> str:
    """Hashes, amounts, addresses and links are the same in every language: a mail may consist of nothing else."""
    return " " if _CODE.search(run[0]) else run[0]


def _says_something(sample: str) -> bool:
    """The same for plain ASCII, which most mail is and which can only be English: the first word tells."""
    runs = (run[0] for run in _ASCII_RUN.finditer(sample))
    return any(any(map(str.isalpha, run)) and not _CODE.search(run) for run in runs)


def detect(*texts: str) -> str:
    """One of `SUPPORTED`, or `""` when there is nothing to tell by. A later text counts only if the earlier are empty.

    Chinese wins as soon as it makes up a fair part: a Chinese mail quotes English error messages far more often than
    an English one quotes Chinese.
    """
    for text in texts:
        sample = text[:_SAMPLE]
        if sample.isascii():
            if _says_something(sample):
                return "en"
            continue
        sample = _ASCII_RUN.sub(_spoken, sample)
        counts = Counter(sample)
        han = len(_HAN.findall(sample))
        words = len(_LATIN_WORD.findall(sample))
        if _KANA.search(sample) or _HANGUL.search(sample):
            return "en"
        if han and han * 2 >= words:
            simplified = sum(counts[c] for c in _ONLY_SIMPLIFIED)
            traditional = sum(counts[c] for c in _ONLY_TRADITIONAL)
            return "zh-TW" if traditional > simplified else "zh-CN"
        if words or any(c.isalpha() for c in sample):
            return "en"
    return ""
