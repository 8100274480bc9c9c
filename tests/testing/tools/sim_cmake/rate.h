#define RATE 0.5
