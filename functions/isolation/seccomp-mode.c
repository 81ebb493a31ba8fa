/* Its seccomp mode: 0 none, 2 a filter. */
#define OPTION PR_GET_SECCOMP
#include "prctl.h"
