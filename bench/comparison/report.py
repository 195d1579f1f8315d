"""What was measured, as a table for people and as JSON."""

import statistics


def _figure(value, digits):
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"


def _spread(values, digits):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{_figure(low, digits)} / {_figure(middle, digits)} / {_figure(high, digits)}"


def _ratios(mine, theirs):
    """Pair by pair; a pair whose divisor is nothing has none."""
    return [ours / other for ours, other in zip(mine, theirs) if other]


def _verdict(held):
    return "holds" if held else "does not hold"


def _judge(metric, values):
    """What becomes of a metric's goals, as lines."""
    lines = []
    mine = values.get("duramen", [])
    for against, goal in (("kafka", metric.goal), ("bare loop", metric.floor_goal)):
        ratios = _ratios(mine, values.get(against, []))
        if not ratios:
            continue
        line = f"ratio to {against}: {_spread(ratios, 3)}"
        if goal:
            line += f"   goal at most {goal:.2f}: {_verdict(statistics.median(ratios) <= goal)}"
        if goal or against == "kafka":
            lines.append(line)
    if metric.limit and mine:
        held = statistics.median(mine) <= metric.limit
        lines.append(f"goal at most {metric.limit:g}: {_verdict(held)}")
    return lines


def print_row(row, durability, runs):
    """`runs` are the figures by side, in the order of the pairs."""
    pairs = max(len(figures) for figures in runs.values())
    print(f"\n{row.name}: {row.title}\n  {pairs} pairs; lowest / median / highest", flush=True)
    for side, level in durability.items():
        print(f"  {side}: {level}")
    for metric in row.metrics:
        values = {
            side: [run[metric.key] for run in figures if metric.key in run] for side, figures in runs.items()
        }
        if not any(values.values()):
            continue
        print(f"    {metric.title}")
        for side, found in values.items():
            if found:
                print(f"      {side:10} {_spread(found, metric.digits)}")
        for line in _judge(metric, values):
            print(f"      {line}")
    for key, what in (("others_percent", "other processes"), ("steal_percent", "the hypervisor")):
        taken = [run[key] for figures in runs.values() for run in figures if key in run]
        if taken:
            print(f"    % of the machine that {what} took: {_spread(taken, 1)}")


def ratios(row, runs):
    """Medians of the ratios, for the JSON."""
    found = {}
    for metric in row.metrics:
        values = {side: [run[metric.key] for run in figures if metric.key in run] for side, figures in runs.items()}
        for against in ("kafka", "bare loop"):
            pairwise = _ratios(values.get("duramen", []), values.get(against, []))
            if pairwise:
                found.setdefault(metric.key, {})[against] = {
                    "pairs": pairwise,
                    "median": statistics.median(pairwise),
                }
    return found
