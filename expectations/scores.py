"""Gate 3, after the transform: do the RFM scores and classes follow from the measures and their borders?

It judges the newest as_of within the days of the run. The law that equal values get equal scores is checked
twice: each score must follow from its borders, and customers with equal values are compared.
"""

from expectations.suite import FEW_CUSTOMERS, Batch, between, holds, one_of, present, query, unique
from goodstanding.core.vocabulary import CLASSES

BATCHES = (
    Batch(
        name="customers",
        sql=query("scores_customers"),
        key=("as_of", "customer"),
        expectations=[
            unique(["customer_id", "as_of"], "one row per customer and as_of"),
            between("recency", 0, None),
            between("frequency", 1, None),
            between("monetary", 0, None, "monetary is above 0", above_low=True),
            one_of("r_score", range(1, 5)),
            one_of("f_score", range(1, 5)),
            one_of("m_score", range(1, 5)),
            one_of("credit_score", range(3, 13)),
            present("class"),
            one_of("class", CLASSES),
            holds("r_score_is_right", "r_score follows from the borders of recency"),
            holds("f_score_is_right", "f_score follows from the borders of frequency"),
            holds("m_score_is_right", "m_score follows from the borders of monetary"),
            holds("credit_score_is_right", "credit_score = r_score + f_score + m_score"),
            holds("class_is_right", "class follows from the borders of credit_score"),
            holds("rfm_scores_agree", "customer_classes has the figures and scores of rfm_scores"),
        ],
    ),
    Batch(
        name="standing",
        sql=query("scores_standing"),
        key=("as_of",),
        not_judged={
            "largest_class_share": FEW_CUSTOMERS,
            "smallest_class_share": FEW_CUSTOMERS,
            "customers_of_previous": FEW_CUSTOMERS,
        },
        expectations=[
            holds("is_there", "there are classes as of the newest day that the marts keep"),
            holds("counts_agree", "as many customers in customer_classes as in rfm_scores"),
            between("torn_ties", 0, 0, "equal values get equal scores, equal credit scores equal classes"),
            # the real year, from 100 customers on: largest 0.318 to 0.459, smallest 0.116 to 0.183
            between("largest_class_share", None, 0.6, "no class holds more than 60 % of the customers"),
            between("smallest_class_share", 0.02, None, "every class holds at least 2 % of the customers"),
            between("customers_of_previous", 0.9, None, "at most 10 % fewer customers than the as_of before"),
        ],
    ),
)
