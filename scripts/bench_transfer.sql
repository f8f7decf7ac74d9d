\set payer random(1, :cards)
\set other random(1, :cards - 1)
SELECT create_transfer(:payer, 1 + (:payer - 1 + :other) % :cards, 1);
