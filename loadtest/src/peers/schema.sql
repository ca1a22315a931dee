-- A seat is a row from the beginning, so that a hold changes one and inserts none. Room is left in each page for the new version of a row:
-- no index changes with it then.
CREATE TABLE seats (
    schedule int NOT NULL,
    seat int NOT NULL,
    status "char" NOT NULL DEFAULT 'a', -- available, held, confirmed
    nonce bigint,
    user_id text,
    expires_at bigint, -- milliseconds since 1970
    PRIMARY KEY (schedule, seat)
) WITH (fillfactor = 45);

CREATE TABLE balances (
    user_id text PRIMARY KEY,
    balance bigint NOT NULL CHECK (balance >= 0)
) WITH (fillfactor = 50);

CREATE TABLE payments (
    user_id text NOT NULL,
    key text NOT NULL,
    schedule int NOT NULL,
    seat int NOT NULL,
    hold bigint NOT NULL,
    nonce bigint NOT NULL,
    amount bigint NOT NULL,
    paid_at bigint NOT NULL, -- milliseconds since 1970
    PRIMARY KEY (user_id, key)
);

-- Confirms a hold, takes its price off the balance and notes the payment, in one transaction and one round trip.
-- A repeated key returns the first payment.
CREATE FUNCTION pay(
    of_schedule int, of_seat int, of_hold bigint, of_user text, of_key text, of_nonce bigint, of_amount bigint, of_now bigint
) RETURNS TABLE (schedule int, seat int, hold bigint, nonce bigint, paid_at bigint) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO payments VALUES (of_user, of_key, of_schedule, of_seat, of_hold, of_nonce, of_amount, of_now)
        ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN QUERY SELECT p.schedule, p.seat, p.hold, p.nonce, p.paid_at FROM payments p
            WHERE p.user_id = of_user AND p.key = of_key;
        RETURN;
    END IF;

    UPDATE seats s SET status = 'c'
        WHERE s.schedule = of_schedule AND s.seat = of_seat AND s.status = 'h' AND s.nonce = of_hold
        AND s.user_id = of_user AND s.expires_at > of_now;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'not held' USING ERRCODE = 'ON001';
    END IF;

    UPDATE balances b SET balance = b.balance - of_amount WHERE b.user_id = of_user AND b.balance >= of_amount;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'insufficient balance' USING ERRCODE = 'ON002';
    END IF;

    RETURN QUERY SELECT of_schedule, of_seat, of_hold, of_nonce, of_now;
END
$$;
