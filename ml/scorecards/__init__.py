"""Points scorecards that say how likely an order is to be returned, refused at the door or paid late."""
