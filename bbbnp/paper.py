"""Numbers of the paper's sections 5.1 and 5.3: tables, and curves as read off the vector paths of its figures."""

# Table 1: test error in percent at 400, 800 and 1200 units
TABLE_1 = {"sgd": (1.83, 1.84, 1.88), "dropout": (1.51, 1.33, 1.36), "gaussian": (1.82, 1.99, 2.04),
           "mixture": (1.36, 1.34, 1.32)}
WIDTHS = (400, 800, 1200)


def table_1(method, hidden):
    """Test error in percent of one cell of Table 1; NaN for a width that is not in it."""
    return dict(zip(WIDTHS, TABLE_1[method])).get(hidden, float("nan"))


# Table 2: units of a layer, and test error in percent by the part of the weights removed
TABLE_2_UNITS = 1200
TABLE_2 = {0.0: 1.24, 0.5: 1.24, 0.75: 1.24, 0.95: 1.29, 0.98: 1.39}

# Figure 2: test error in percent at these epochs
EPOCHS = (25, 50, 100, 200, 300, 400, 500, 600)
FIGURE_2 = {"mixture": (2.07, 1.75, 1.61, 1.53, 1.43, 1.40, 1.33, 1.33),
            "dropout": (1.82, 1.64, 1.51, 1.41, 1.42, 1.48, 1.41),
            "sgd": (1.82, 1.84, 1.87, 1.87, 1.86, 1.86, 1.85, 1.87)}

# Figure 3, 1200 units: standard deviation and highest density of the trained weights, of Bayes by Backprop one draw
FIGURE_3 = {"mixture": (0.097, 4.19), "dropout": (0.058, 8.97), "sgd": (0.026, 15.2)}

# Figure 4: quantiles of log10(|mu|/sigma), where the axis of the paper says dB
FIGURE_4 = {0.05: -3.08, 0.25: -2.19, 0.50: -1.77, 0.75: -0.95, 0.90: -0.61, 0.95: -0.40, 0.98: -0.05}

# Figure 6: cumulative regret at these steps
STEPS = (500, 1000, 2000, 5000, 10_000, 20_000, 30_000, 50_000)
FIGURE_6 = {"bbb": (1149, 1499, 2000, 2942, 3855, 5039, 5543, 5730),
            "greedy": (1038, 1482, 2277, 3508, 4780, 6225, 6984, 8163),
            "epsilon-1": (1060, 1559, 2528, 4189, 6327, 9890, 12714, 18508),
            "epsilon-5": (1189, 1825, 2827, 5618, 9860, 17583, 24617, 39112)}
