from detray.callback import ClassTableCallback as ClassTableCallback
from detray.library import Tables as Tables
from detray.library import audit as audit
from detray.library import diagnose as diagnose
from detray.library import evaluate as evaluate

__version__: str
