"""Why a class is weak: ranked causes with evidence and remedy."""
