"""order: reads the orders of a directory, checks each, and writes the receipts of the good ones."""

import json
import os
import sys


def fault(order):
    for item in order["items"]:
        if item["quantity"] < 1:
            return f"{item['name']}: no quantity"
        if item["cents"] < 0:
            return f"{item['name']}: a price below nothing"
    return None if order["items"] else "nothing is ordered"


def receipt(order):
    lines = [f"{item['quantity']} x {item['name']}" for item in order["items"]]
    total = sum(item["quantity"] * item["cents"] for item in order["items"])
    return "\n".join([*lines, f"total {total / 100:.2f}", ""])


def main():
    orders, receipts = sys.argv[1:]
    for name in sorted(os.listdir(orders)):
        with open(f"{orders}/{name}") as file:
            order = json.load(file)
        wrong = fault(order)
        print(f"{name}: {wrong or 'good'}")
        if not wrong:
            with open(f"{receipts}/{name}.txt", "w") as file:
                file.write(receipt(order))


if __name__ == "__main__":
    main()
