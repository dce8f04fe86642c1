"""Memory that is given back at the end of a request is not asked for again in the next one."""

import numpy as np

# More than an array of a request takes, less than the 32 MiB that glibc's limit may reach.
KEPT_BYTES = 2**23


def keep_freed() -> None:
    """Have the C library keep blocks up to KEPT_BYTES, and twice that at a heap's end, when they are freed.

    glibc gives a freed block back to the system if it is larger than any freed before. Without a large model
    file among those, a clip's samples and spectra would come anew page by page for each request, which costs
    more than what is done with them. Elsewhere, and where MALLOC_TRIM_THRESHOLD_ is set, this does nothing.
    """
    np.empty(KEPT_BYTES, np.uint8)
