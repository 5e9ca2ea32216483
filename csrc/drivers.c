#include "drivers.h"

#include <stddef.h>
#include <string.h>

#include "activations.h"
#include "addnorm.h"
#include "batchnorm.h"
#include "clipping.h"
#include "dropout.h"
#include "groupnorm.h"
#include "layernorm.h"
#include "penalties.h"
#include "rmsnorm.h"

static const struct {
    const char *family;
    const void *drivers;
} families[] = {
    {"activations", &fn_activations}, {"addnorm", &fn_addnorm},     {"batchnorm", &fn_batchnorm},
    {"clipping", &fn_clipping},       {"dropout", &fn_dropout},     {"groupnorm", &fn_groupnorm},
    {"layernorm", &fn_layernorm},     {"penalties", &fn_penalties}, {"rmsnorm", &fn_rmsnorm},
};

const void *fn_drivers_of(const char *family)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (!strcmp(families[i].family, family)) return families[i].drivers;
    return NULL;
}
