/* A simulator: so many steps of a decay, with what it comes to in metrics.json. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rate.h"

int main(int count, char **words) {
    double value = 1.0;
    long steps = 1;
    char path[4096];
    const char *place = getenv("EXPERIMENTSTASH_RUN_DIR");
    for (int number = 1; number + 1 < count; number++)
        if (strcmp(words[number], "--steps") == 0)
            steps = strtol(words[number + 1], NULL, 10);
    for (long step = 0; step < steps; step++)
        value *= RATE;
    printf("%.17g\n", value);
    snprintf(path, sizeof path, "%s/metrics.json", place == NULL ? "." : place);
    FILE *file = fopen(path, "w");
    if (file == NULL || fprintf(file, "{\"value\": %.17g}\n", value) < 0 || fclose(file) != 0)
        return 1;
    return 0;
}
