"""What the emulator answers to unless told otherwise. Documented: other programs copy these values.

The numbers are fictional (+1 555-01xx, and +1 202 555-01xx for recipients: reserved for fiction, and well formed);
the token and the secret are of use against this emulator only.
"""

HOST = "127.0.0.1"
PORT = 8090

PHONE_NUMBER_ID = "100000000000001"
WABA_ID = "200000000000002"
APP_ID = "300000000000003"
BUSINESS_ID = "400000000000004"
BUSINESS_NUMBER = "15550100001"
VERIFIED_NAME = "Heliograph Emulator"
TOKEN = "EMULATOR-TOKEN-not-a-secret-0000000000"  # noqa: S105 - public on purpose
EXPIRED_TOKEN = "EMULATOR-TOKEN-expired"  # noqa: S105 - always answers 190/463
APP_SECRET = "emulator-app-secret-not-a-secret"  # noqa: S105 - public on purpose
VERIFICATION_CODE = "123456"  # what verify_code takes
USER_NUMBER = "12025550123"  # who speaks when `say` is not told

NEWEST_VERSION = (26, 0)
OLDEST_VERSION = (22, 0)  # a call to an older one is served by this one

THROUGHPUT_PER_S = 1000  # HIGH; STANDARD numbers have 80
STANDARD_THROUGHPUT_PER_S = 80
PAIR_EVERY_S = 6.0  # one message to one person in so many seconds …
PAIR_BURST = 45  # … after a burst of so many
WINDOW_S = 24 * 3600.0

SENT_AFTER_S = 0.1
DELIVERED_AFTER_S = 0.3
READ_AFTER_S = 0.8  # for the recipients that read
LATE_AFTER_S = 20.0
REVIEW_AFTER_S = 1.0
HANG_S = 120.0  # longer than any client waits

MEDIA_URL_LIFE_S = 300.0
FREE_SERVICE_MESSAGES = 1000  # a month and number, then they are billed

# The bundled templates, all of the default account; their components are in bundled.py.
TEMPLATE_ONE_VARIABLE = "heliograph_message"  # en_US, UTILITY, body {{1}}: fit to be a window template
TEMPLATE_SEVERAL_VARIABLES = "order_ready"  # en_US, UTILITY, header image, body {{1}} {{2}}, URL button {{1}}
TEMPLATE_NO_VARIABLES = "hello_world"  # en_US, UTILITY
TEMPLATE_AUTHENTICATION = "login_code"  # en_US, AUTHENTICATION, one-time password button
TEMPLATE_NAMED = "appointment_reminder"  # en_US and nl, UTILITY, {{first_name}} {{time}}
TEMPLATE_MARKETING = "spring_offer"  # en_US, MARKETING, body {{1}}, quick replies
TEMPLATE_PAUSED = "paused_offer"  # en_US, MARKETING: 132015
TEMPLATE_DISABLED = "disabled_offer"  # en_US, MARKETING: 132016
TEMPLATE_PENDING = "pending_notice"  # en_US, UTILITY: 132001 until approved
