"""The language of the window: the translation for the system's locale, if there is one, and Qt's
own words with it.

Rule: English needs no file, and what has no translation stays English. Installed before the first
text is shown.
"""

from __future__ import annotations

import os

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from transfermon.model import translate

FOLDER = os.path.join(
    os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "translations"
)


def install(app: QCoreApplication, locale: QLocale | None = None, folder: str = FOLDER) -> bool:
    """Whether there is a translation for this locale, the system's by default. Without one Qt's
    words are left in English, too: a window speaks one language.
    """
    locale = locale or QLocale.system()
    if not _add(app, locale, "transfermon", folder):
        return False
    _add(app, locale, "qtbase", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath))
    translate.use(_look_up)
    return True


def _add(app: QCoreApplication, locale: QLocale, name: str, folder: str) -> bool:
    translator = QTranslator()
    if not translator.load(locale, name, "_", folder):
        return False
    translator.setParent(app)
    return app.installTranslator(translator)


def _look_up(text: str, one: str, count: int) -> str:
    # The context is empty: that is where lupdate puts a plain `tr` of Python, in a class or not.
    return QCoreApplication.translate("", text, one, count)
