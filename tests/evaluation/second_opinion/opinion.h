/* A second implementation of docs/exact-1.md, written from that page alone. */

#ifndef OPINION_H
#define OPINION_H

#include <stdint.h>

#define MAXIMUM_RANK 8
#define MAXIMUM_INPUTS 16
#define MAXIMUM_OUTPUTS 4

enum type {
    FLOAT16, BFLOAT16, FLOAT32, FLOAT64,
    INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, BOOL,
    TYPES
};

/* Floats of every width are kept as doubles, all else as 64-bit integers; the other pointer is null. */
struct tensor {
    enum type type;
    int rank;
    long shape[MAXIMUM_RANK];
    long count;
    double *real;
    int64_t *whole;
};

struct attribute {
    const char *name;
    long count;
    char **words;
};

struct node {
    const char *operator;
    int opset;
    int inputs;
    struct tensor *input[MAXIMUM_INPUTS]; /* null where an optional one is missing */
    long attributes;
    struct attribute *attribute;
    int outputs;
    struct tensor *output[MAXIMUM_OUTPUTS];
};

/* Offsets of elements in C order: `kept[i] + reduced[j]` is element j of group i. */
struct groups {
    long kept_count, reduced_count;
    long *kept, *reduced;
};

/* memory.c */
void *claim(long count, long size);
void forget_everything(void);
void give_up(const char *why, const char *about);

/* tensor.c */
struct tensor *make(enum type type, int rank, const long *shape);
struct tensor *like(const struct tensor *x, enum type type);
struct tensor *widened(const struct tensor *x); /* half types as float32, all else as it is */
int is_float(enum type type);
int is_signed(enum type type);
int width_of(enum type type);
long product_of(int rank, const long *shape);
int axis_of(long axis, int rank);
double narrow(double x, enum type type);   /* rounded once to a float type */
double step(double x, enum type type);     /* rounded to the type that computes: float32 for half types */
double carrier_value(const struct tensor *x, long i);
int64_t wrap(int64_t x, enum type type);
int64_t lowest(enum type type);
int64_t highest(enum type type);
int below(int64_t a, int64_t b, enum type type);
int broadcast(int rank, long *shape, const struct tensor *x);
long place(const struct tensor *x, int rank, const long *shape, long flat);
struct groups grouped(const struct tensor *x, const int *is_reduced);
struct groups trailing(const struct tensor *x, int axis);
struct groups along(const struct tensor *x, int axis);
uint64_t to_bits(double x, enum type type);
double from_pattern(uint64_t bits, enum type type);

/* node.c */
const struct attribute *find(const struct node *node, const char *name);
long number_of(const struct node *node, const char *name, long otherwise);
double real_of(const struct node *node, const char *name, double otherwise);
const char *word_of(const struct node *node, const char *name, const char *otherwise);
double real_at(const struct attribute *list, long i);
long number_at(const struct attribute *list, long i);
struct tensor *input_of(const struct node *node, int i);
void put(struct node *node, struct tensor *x);

/* digest.c */
void digest_of(const struct tensor *x, char hex[65]);

/* functions.c and circular.c, all in float64 */
double poly(const double *coefficients, int degree, double x);
double copy_sign(double magnitude, double x);
double exp_1(double x);
double expm1_1(double x);
double log_1(double x);
double log1p_1(double x);
double tanh_1(double x);
double sigmoid_1(double x);
double softplus_1(double x);
double erf_1(double x);
double power_1(double x, double y);
double sin_1(double x);
double cos_1(double x);
double tan_1(double x);
double asin_1(double x);
double acos_1(double x);
double atan_1(double x);
double sinh_1(double x);
double cosh_1(double x);
double asinh_1(double x);
double acosh_1(double x);
double atanh_1(double x);

/* extremes.c */
double larger(double a, double b);
double smaller(double a, double b);
int precedes(const struct tensor *x, long a, long b, int largest);
long best_of(const struct tensor *x, const long *offsets, long start, long count, int last);

/* products.c: the chain of section 2, fed one pair after the other */
struct chain {
    enum type type;
    long fed;
    double sum, total;
    uint64_t integer;
};
struct chain begin(enum type type);
void feed(struct chain *chain, double a, double b);
double ended(struct chain *chain);
double *multiplied(const double *a, const double *b, long rows, long inner, long columns, enum type type);

/* windows.c */
struct window {
    int axes;
    long kernel[3], stride[3], dilation[3], before[3], after[3], input[3], output[3];
};
struct window window_of(const struct node *node, const struct tensor *x, const long *kernel);
long window_count(const struct window *w);
int window_place(const struct window *w, long out, long in_kernel, long *place, int *in_padding);

/* activations.c */
double activation(const char *name, double x, double alpha, double beta, enum type type);

/* sums.c */
void softmax_line(const double *x, double *result, long count, int logarithm);

/* elements.c */
int64_t saturated(double x, enum type type);

/* the operators of each family; 0 if the name is none of theirs */
int elements(struct node *node);
int casts(struct node *node);
int activations(struct node *node);
int sums(struct node *node);
int norms(struct node *node);
int extremes(struct node *node);
int products(struct node *node);
int convolutions(struct node *node);
int windows(struct node *node);
int recurrent(struct node *node);
int attention(struct node *node);
int resizing(struct node *node);
int einsum(struct node *node);
int quantized(struct node *node);
int trees(struct node *node);

#endif
